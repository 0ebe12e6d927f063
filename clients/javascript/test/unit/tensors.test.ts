import assert from "node:assert/strict";
import { test } from "node:test";
import { fromNested, schemaOf, toNested, type Tensor, type Weights } from "foedus-fma";

const layers: Weights = [[[1, 2, 3], [4, 5, 6]], [7]];

test("nested lists become arrays and back", () => {
  const models: Weights[] = [5, [1, 2], [[1, 2], [3, 4]], layers, { a: [[1]], b: 2 }];
  for (const model of models) assert.deepEqual(toNested(fromNested(model)), model);
});

test("rows of one length are one array, others are layers", () => {
  assert.deepEqual(fromNested([[1, 2], [3, 4]]), { shape: [2, 2], data: Float64Array.of(1, 2, 3, 4) });
  assert.deepEqual((fromNested(layers) as Tensor[]).map((layer) => layer.shape), [[2, 3], [1]]);
});

test("a layer with rows of different lengths is refused", () => {
  assert.throws(() => fromNested([[[1], [2, 3]], [4]]), /different lengths/);
});

test("a schema names the lengths of all lists", () => {
  const list = (n: number, items: object): object => ({ type: "array", minItems: n, maxItems: n, items });
  const numbers = { type: "number" };

  assert.deepEqual(schemaOf(layers), {
    type: "array",
    prefixItems: [list(2, list(3, numbers)), list(1, numbers)],
    items: false,
    minItems: 2,
  });
  assert.deepEqual(schemaOf(fromNested(layers)), schemaOf(layers));
  assert.deepEqual(schemaOf({ b: 2 }), {
    type: "object",
    properties: { b: numbers },
    required: ["b"],
    additionalProperties: false,
  });
});
