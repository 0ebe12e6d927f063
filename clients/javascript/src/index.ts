export { FmaClient, type Calling, type ClientOptions, type Pulled, type Waiting } from "./client.js";
export { FmaError, Refused, TimedOut, Unreachable } from "./errors.js";
export { schemaOf, type JsonSchema } from "./json-schema.js";
export { decode, encode } from "./safetensors.js";
export { fromNested, toNested, type Numbers, type Tensor, type Tensors } from "./tensors.js";
export type { LinkOptions } from "./link.js";
export type { User } from "./credentials.js";
export type * from "./schema.js";
