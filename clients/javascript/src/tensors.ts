import { FmaError } from "./errors.js";
import type { Nested, Weights } from "./schema.js";

export type Numbers = Float32Array | Float64Array;

/** An array in row-major order. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Numbers;
}

/** A model: one array, layers, or arrays by name. */
export type Tensors = Tensor | readonly Tensor[] | { readonly [name: string]: Tensor };

/** The name of an array that is a whole model, as the server has it. */
const SINGLE = "weights";

export function isTensor(value: unknown): value is Tensor {
  const data: unknown = (value as Tensor | null)?.data;
  return data instanceof Float32Array || data instanceof Float64Array;
}

export function isTensors(value: Tensors | Weights): value is Tensors {
  return isTensor(value) || (typeof value === "object" && isTensor(Object.values(value)[0]));
}

/** Arrays by name, layers by their number. */
export function toNamed(model: Tensors): [string, Tensor][] {
  return isTensor(model) ? [[SINGLE, model]] : Object.entries(model);
}

export function fromNamed(named: ReadonlyMap<string, Tensor>): Tensors {
  const single = named.get(SINGLE);
  if (single && named.size === 1) return single;
  const layers = Array.from(named, (_, index) => named.get(String(index)));
  return layers.every((layer) => layer !== undefined) ? layers : Object.fromEntries(named);
}

/** JSON's nested lists as arrays. A rectangular list is one array, any other list is layers. */
export function fromNested(weights: Weights): Tensors {
  if (!Array.isArray(weights) && typeof weights === "object") {
    return Object.fromEntries(Object.entries(weights).map(([name, part]) => [name, flat(part)]));
  }
  const nested = weights as Nested;
  return isRectangular(nested) ? flat(nested) : (nested as readonly Nested[]).map(flat);
}

/** Arrays as JSON's nested lists: every number an object of the language, so mind the size. */
export function toNested(model: Tensors): Weights {
  if (isTensor(model)) return nest(model);
  if (Array.isArray(model)) return model.map(nest);
  return Object.fromEntries(toNamed(model).map(([name, tensor]) => [name, nest(tensor)]));
}

/** Throws unless the shape fits the data, and every number is finite. */
export function checked([name, { shape, data }]: [string, Tensor]): void {
  if (sizeOf(shape) !== data.length) {
    throw new FmaError(`tensor ${name} has ${data.length} numbers, its shape [${shape}] wants ${sizeOf(shape)}`);
  }
  const odd = (data as Float64Array).findIndex((number) => !Number.isFinite(number));
  if (odd >= 0) throw new FmaError(`tensor ${name} holds ${data[odd]} at ${odd}; only finite numbers can be averaged`);
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, side) => size * side, 1);
}

/** The lengths of the lists, along the first of each. */
export function shapeOf(nested: Nested): number[] {
  const shape: number[] = [];
  for (let part: Nested | undefined = nested; Array.isArray(part); part = part[0] as Nested | undefined) {
    shape.push(part.length);
  }
  return shape;
}

export function isRectangular(nested: Nested, shape: readonly number[] = shapeOf(nested)): boolean {
  const [length, ...inner] = shape;
  if (!Array.isArray(nested)) return length === undefined;
  return nested.length === length && nested.every((part: Nested) => isRectangular(part, inner));
}

function flat(nested: Nested): Tensor {
  const shape = shapeOf(nested);
  if (!isRectangular(nested, shape)) throw new FmaError("an array's rows have different lengths");
  const data = new Float64Array(sizeOf(shape));
  let next = 0;
  const fill = (part: Nested): void => {
    if (Array.isArray(part)) part.forEach(fill);
    else data[next++] = part as number;
  };
  fill(nested);
  return { shape, data };
}

function nest({ shape, data }: Tensor): Nested {
  const [length, ...inner] = shape;
  if (length === undefined) return data[0] as number;
  if (inner.length === 0) return Array.from(data);
  const step = sizeOf(inner);
  return Array.from({ length }, (_, row) =>
    nest({ shape: inner, data: data.subarray(row * step, (row + 1) * step) }),
  );
}
