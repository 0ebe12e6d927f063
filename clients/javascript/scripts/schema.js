// Writes src/schema.ts from the server's description; with --check it only says whether that is up to date.
//
//     npm run schema -- [--check] http://127.0.0.1:8080/api/v1/openapi.json

import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const TARGET = fileURLToPath(new URL("../src/schema.ts", import.meta.url));
const JSON_TYPE = "application/json";
const BODIES = [JSON_TYPE, "application/vnd.safetensors"]; // what this package sends
const METHODS = ["get", "post", "put", "patch", "delete"];

const name = (reference) => reference.slice(reference.lastIndexOf("/") + 1);
const key = (text) => (/^[A-Za-z_]\w*$/.test(text) ? text : JSON.stringify(text));
const braces = (lines) => (lines.length ? `{ ${lines.join("; ")} }` : "Record<string, never>");
const block = (lines) => `{\n${lines.map((line) => `  ${line};\n`).join("")}}\n`;

function type(schema) {
  if (schema.$ref) return name(schema.$ref);
  if (schema.anyOf) return schema.anyOf.map(type).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.format === "binary") return "Blob";
  switch (schema.type) {
    case "integer":
    case "number":
      return "number";
    case "string":
    case "boolean":
    case "null":
      return schema.type;
    case "array":
      return `readonly ${schema.items.anyOf ? `(${type(schema.items)})` : type(schema.items)}[]`;
    case "object":
      return object(schema);
    case undefined:
      return "unknown";
    default:
      throw new Error(`the description has a type that this script does not know: ${JSON.stringify(schema)}`);
  }
}

function object({ properties, additionalProperties, maxProperties }) {
  if (maxProperties === 0) return "Record<string, never>";
  if (!properties) return `{ readonly [name: string]: ${additionalProperties ? type(additionalProperties) : "unknown"} }`;
  throw new Error("the description has an object with fields of its own inside another: give it a name");
}

function named([title, { properties, required = [], ...schema }]) {
  if (!properties) return `export type ${title} = ${type(schema)};\n`;
  const lines = Object.entries(properties).map(
    ([field, inner]) => `readonly ${key(field)}${required.includes(field) ? "" : "?"}: ${type(inner)}`,
  );
  return `export interface ${title} ${block(lines)}`;
}

function operation(shared, { parameters, requestBody, responses }) {
  const listed = [...shared, ...parameters];
  const fields = (where) =>
    braces(
      listed
        .filter((parameter) => parameter.in === where)
        .map((parameter) => `${key(parameter.name)}${parameter.required ? "" : "?"}: ${type(parameter.schema)}`),
    );
  const sent = BODIES.filter((kind) => requestBody?.content[kind]);
  const bodies = sent.map((kind) => `${JSON.stringify(kind)}: ${type(requestBody.content[kind].schema)}`);
  const [, success] = Object.entries(responses).find(([status]) => status.startsWith("2"));
  const answers = new Set(Object.values(success.content ?? {}).map((content) => type(content.schema)));
  return `{
    path: ${fields("path")};
    query: ${fields("query")};
    body: ${bodies.length ? braces(bodies) : "never"};
    answer: ${[...answers].join(" | ") || "undefined"};
  }`;
}

function written(document) {
  const types = Object.entries(document.components.schemas).map(named);
  const operations = Object.entries(document.paths).flatMap(([path, { parameters = [], ...entry }]) =>
    METHODS.filter((method) => entry[method]).map(
      (method) => `  ${JSON.stringify(`${method.toUpperCase()} ${path}`)}: ${operation(parameters, entry[method])};\n`,
    ),
  );
  return [
    "// Written by scripts/schema.js from the server's description: npm run schema -- URL\n",
    ...types,
    `/** Every call of the API, by method and address. */\nexport interface Operations {\n${operations.join("")}}\n`,
  ].join("\n");
}

const source = process.argv.at(-1);
const text = /^https?:/.test(source) ? await (await fetch(source)).text() : await readFile(source, "utf8");
const wanted = written(JSON.parse(text));
if (!process.argv.includes("--check")) {
  await writeFile(TARGET, wanted);
} else if ((await readFile(TARGET, "utf8")) !== wanted) {
  console.error("src/schema.ts is not what the server describes; write it anew: npm run schema -- URL");
  process.exitCode = 1;
}
