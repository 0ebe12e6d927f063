import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode, FmaError, type Tensor, type Tensors } from "foedus-fma";

const matrix: Tensor = { shape: [2, 2], data: Float64Array.of(1, 2, 3, 0.1) };
const bias: Tensor = { shape: [1], data: Float32Array.of(-4) };

async function there(model: Tensors): Promise<Tensors> {
  return decode(await encode(model).arrayBuffer());
}

/** A file with this header, written by somebody else. */
function file(header: string, values: ArrayLike<number>): ArrayBuffer {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + text.length + values.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(values, 8 + text.length);
  return bytes.buffer;
}

function one(dtype: string, values: ArrayBufferView<ArrayBuffer>, shape: number[]): ArrayBuffer {
  const bytes = new Uint8Array(values.buffer);
  return file(JSON.stringify({ weights: { dtype, shape, data_offsets: [0, bytes.length] } }), bytes);
}

test("a model comes back as it was, in each of the three forms", async () => {
  for (const model of [matrix, [matrix, bias], [bias], { b: bias, a: matrix }]) {
    assert.deepEqual(await there(model), model);
  }
});

test("more than ten layers keep their order", async () => {
  const layers = Array.from({ length: 12 }, (_, n): Tensor => ({ shape: [1], data: Float64Array.of(n) }));

  assert.deepEqual(await there(layers), layers);
});

test("the file is the one that the format's documentation describes", async () => {
  const bytes = new Uint8Array(await encode({ w: bias }).arrayBuffer());

  const header = '{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
  assert.deepEqual(bytes.slice(0, 8), Uint8Array.of(56, 0, 0, 0, 0, 0, 0, 0));
  assert.equal(new TextDecoder().decode(bytes.slice(8, 64)), header.padEnd(56));
  assert.deepEqual(bytes.slice(64), Uint8Array.of(0, 0, 0x80, 0xc0));
});

test("part of a larger buffer is sent alone", async () => {
  const data = Float64Array.of(9, 1, 2, 9).subarray(1, 3);

  assert.deepEqual(await there({ shape: [2], data }), { shape: [2], data: Float64Array.of(1, 2) });
});

test("other types are converted, wherever their values begin", () => {
  const cases: [string, ArrayBufferView<ArrayBuffer>, number[]][] = [
    ["F16", Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff), [1, -2, 2 ** -24, 65504]],
    ["I64", BigInt64Array.of(-5n, 2n ** 40n), [-5, 2 ** 40]],
    ["I32", Int32Array.of(-(2 ** 31)), [-(2 ** 31)]],
    ["U8", Uint8Array.of(255, 0), [255, 0]],
    ["F32", Float32Array.of(1.5), [1.5]],
  ];
  for (const [dtype, values, numbers] of cases) {
    const { data } = decode(one(dtype, values, [numbers.length])) as Tensor;

    assert.deepEqual(Array.from(data), numbers, dtype);
  }
});

test("what the header claims is checked", () => {
  const broken = [
    new ArrayBuffer(0),
    new ArrayBuffer(7),
    new Uint8Array([255, 255, 255, 255, 255, 255, 255, 255, 1]).buffer,
    file("{", []),
    file('{"w":{}}', []),
    file('{"w":{"dtype":"F64","shape":[1]}}', []),
    file('{"w":{"dtype":"F64","shape":[2],"data_offsets":[0,8]}}', Array(8).fill(0)),
    file('{"w":{"dtype":"F64","shape":[1],"data_offsets":[8,16]}}', Array(8).fill(0)),
    file('{"w":{"dtype":"F64","shape":[1],"data_offsets":[-8,0]}}', Array(8).fill(0)),
    file('{"w":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}', [0, 0]),
    file('{"w":{"dtype":"constructor","shape":[1],"data_offsets":[0,2]}}', [0, 0]),
    file('{"w":null}', []),
    file('{"w":7}', []),
    file('{"w":{"dtype":"F64","shape":[-1,-1],"data_offsets":[0,8]}}', Array(8).fill(0)),
    file('{"w":{"dtype":"F64","shape":"1","data_offsets":"08"}}', Array(8).fill(0)),
  ];
  for (const bytes of broken) assert.throws(() => decode(bytes), FmaError);
});

test("numbers that cannot be averaged are not sent", () => {
  assert.throws(() => encode({ shape: [2], data: Float32Array.of(1, NaN) }), /tensor weights holds NaN at 1/);
  assert.throws(() => encode([bias, { shape: [3], data: Float32Array.of(1) }]), /tensor 1 has 1 numbers/);
});

test("two million numbers take little more than their own memory", async () => {
  const model: Tensor = { shape: [2_000_000], data: new Float32Array(2_000_000).fill(0.5) };
  const before = process.memoryUsage().heapUsed;

  const file = encode(model);

  assert.ok(file.size < 8_001_000);
  assert.ok(process.memoryUsage().heapUsed - before < 2_000_000);
});
