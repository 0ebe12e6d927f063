/** safetensors: the header's length in 8 bytes, a JSON header, then the values without gaps. */

import { FmaError } from "./errors.js";
import { checked, fromNamed, sizeOf, toNamed, type Numbers, type Tensor, type Tensors } from "./tensors.js";

export const MEDIA_TYPE = "application/vnd.safetensors";
const PREFIX = 8;

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [begin: number, end: number];
}

type Read = (file: ArrayBuffer, at: number, size: number) => Numbers;

/** Bytes of a value, and how values are read; what is neither F32 nor F64 is converted. */
const DTYPES: ReadonlyMap<string, [bytes: number, read: Read]> = new Map<string, [number, Read]>([
  ["F64", [8, (...where) => new Float64Array(...where)]],
  ["F32", [4, (...where) => new Float32Array(...where)]],
  ["F16", [2, (...where) => Float32Array.from(new Uint16Array(...where), half)]],
  ["I64", [8, (...where) => Float64Array.from(new BigInt64Array(...where), Number)]],
  ["U64", [8, (...where) => Float64Array.from(new BigUint64Array(...where), Number)]],
  ["I32", [4, (...where) => new Float64Array(new Int32Array(...where))]],
  ["U32", [4, (...where) => new Float64Array(new Uint32Array(...where))]],
  ["I16", [2, (...where) => new Float32Array(new Int16Array(...where))]],
  ["U16", [2, (...where) => new Float32Array(new Uint16Array(...where))]],
  ["I8", [1, (...where) => new Float32Array(new Int8Array(...where))]],
  ["U8", [1, (...where) => new Float32Array(new Uint8Array(...where))]],
  ["BOOL", [1, (...where) => new Float32Array(new Uint8Array(...where))]],
]);

/** A file of the model. The numbers go into it as they lie in memory, none becomes an object of the language. */
export function encode(model: Tensors): Blob {
  assertLittleEndian();
  const named = toNamed(model);
  named.forEach(checked);
  let begin = 0;
  const entries = named.map(([name, { shape, data }]): [string, Entry] => {
    const dtype = data instanceof Float32Array ? "F32" : "F64";
    return [name, { dtype, shape, data_offsets: [begin, (begin += data.byteLength)] }];
  });
  // Spaces at the end, so that values start on a multiple of eight bytes.
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const header = new Uint8Array(PREFIX + Math.ceil(json.length / 8) * 8).fill(32);
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - PREFIX), true);
  header.set(json, PREFIX);
  const parts = named.map(([, { data }]) => data as Numbers & ArrayBufferView<ArrayBuffer>);
  return new Blob([header, ...parts], { type: MEDIA_TYPE });
}

/** The model of a file. Throws FmaError for anything but a sound one. */
export function decode(file: ArrayBuffer): Tensors {
  assertLittleEndian();
  const values = PREFIX + (file.byteLength < PREFIX ? 0 : Number(new DataView(file).getBigUint64(0, true)));
  if (values > file.byteLength || file.byteLength < PREFIX) throw new FmaError("this is not a safetensors file");
  const named = new Map<string, Tensor>();
  for (const [name, entry] of Object.entries(headerOf(file.slice(PREFIX, values)))) {
    if (name !== "__metadata__") named.set(name, tensorOf(name, entry, file, values));
  }
  return fromNamed(named);
}

function headerOf(bytes: ArrayBuffer): Record<string, Partial<Entry> | null> {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) ?? {};
  } catch (cause) {
    throw new FmaError("the header of this safetensors file is not JSON", { cause });
  }
}

function tensorOf(name: string, entry: Partial<Entry> | null, file: ArrayBuffer, values: number): Tensor {
  const { dtype = "", shape, data_offsets } = entry ?? {};
  const [bytes, read] = DTYPES.get(dtype) ?? [];
  if (!bytes || !read) throw new FmaError(`tensor ${name} is of type ${dtype}, which is not known here`);
  const size = areCounts(shape) ? sizeOf(shape) : NaN;
  const [begin = NaN, end = NaN] = areCounts(data_offsets) ? data_offsets : [];
  if (!areCounts(shape) || end - begin !== size * bytes || values + end > file.byteLength) {
    throw new FmaError(`tensor ${name} does not lie where the header says`);
  }
  const at = values + begin; // seen where it lies, unless other writers put it astride
  return { shape, data: at % bytes ? read(file.slice(at, values + end), 0, size) : read(file, at, size) };
}

function areCounts(list: unknown): list is readonly number[] {
  return Array.isArray(list) && list.every((count) => Number.isSafeInteger(count) && count >= 0);
}

/** IEEE 754 binary16: a sign, five bits of exponent, ten of fraction. */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function assertLittleEndian(): void {
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] !== 1) {
    throw new FmaError("safetensors needs a little-endian machine; use nested lists here");
  }
}
