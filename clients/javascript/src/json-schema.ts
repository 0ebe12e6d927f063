/** The schema that updates of a model are checked against: `update_schema` of the model. */

import { isTensors, isTensor, shapeOf, isRectangular, type Tensor, type Tensors } from "./tensors.js";
import type { Nested, Weights } from "./schema.js";

export type JsonSchema = Readonly<Record<string, unknown>>;

const NUMBER: JsonSchema = { type: "number" };

/** JSON Schema 2020-12 of everything that has the layout of this model, whatever its numbers. */
export function schemaOf(model: Tensors | Weights): JsonSchema {
  if (typeof model === "number") return NUMBER;
  if (isTensor(model)) return ofTensor(model);
  if (Array.isArray(model)) return isTensors(model) ? tuple(model.map(ofTensor)) : ofNested(model);
  const parts = Object.entries(model as Record<string, Tensor | Nested>);
  return {
    type: "object",
    properties: Object.fromEntries(parts.map(([name, part]) => [name, schemaOf(part)])),
    required: parts.map(([name]) => name),
    additionalProperties: false,
  };
}

function ofNested(nested: Nested): JsonSchema {
  if (isRectangular(nested)) return ofShape(shapeOf(nested));
  return tuple((nested as readonly Nested[]).map(ofNested));
}

function ofTensor({ shape }: Tensor): JsonSchema {
  return ofShape(shape);
}

function ofShape(shape: readonly number[]): JsonSchema {
  return shape.reduceRight<JsonSchema>((items, n) => ({ type: "array", minItems: n, maxItems: n, items }), NUMBER);
}

function tuple(parts: readonly JsonSchema[]): JsonSchema {
  return { type: "array", prefixItems: parts, items: false, minItems: parts.length };
}
