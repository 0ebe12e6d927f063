/** Against a running server: FOEDUS_URL, and FOEDUS_TOKEN of an operator. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { FmaClient, Refused, fromNested, schemaOf, type Tensor, type Tensors } from "foedus-fma";
import { newModel, publish, url } from "./developer.js";

const INITIAL = [[0, 0], [1]];
const layers = (...numbers: [number, number, number]): Tensors => [
  { shape: [2], data: Float32Array.of(numbers[0], numbers[1]) },
  { shape: [1], data: Float32Array.of(numbers[2]) },
];

test("two clients register, pull, push, get the mean, score it, and see it published", async () => {
  const model = await newModel({ initial_model: INITIAL, requirement: "all_clients", update_schema: schemaOf(INITIAL) });
  const [a, b] = [new FmaClient(url, model), new FmaClient(url, model)];
  const uuid = await a.register();
  await b.register();

  assert.equal(await a.register(), uuid);
  assert.equal(await a.latestAggregate(), null);
  assert.deepEqual(await a.pull(), { weights: fromNested(INITIAL), aggregate: null });

  await a.push(layers(1, 2, 3), null);
  const sent = await b.push([[3, 4], [4]], null);
  const { id, validation_score } = await a.nextAggregate(null);
  const pulled = await b.pull();

  assert.equal(sent.client, b.uuid);
  assert.equal(validation_score, null);
  assert.deepEqual(pulled, { weights: fromNested([[2, 3], [3.5]]), aggregate: id });
  assert.deepEqual(await a.latestModel(), { values: [[2, 3], [3.5]], aggregate: id });
  assert.deepEqual((await a.score({ f1: 0.5 }, id)).validation_results, { f1: 0.5 });
  await b.score({ f1: 1 }, id);
  assert.equal((await a.latestAggregate())?.validation_score, 0.75);

  await publish(id, "1.1.0");
  assert.equal((await a.currentArtifact())?.version, "1.1.0");
});

test("who waits for an aggregate has it as soon as it is there", async () => {
  const client = new FmaClient(url, await newModel({ initial_model: INITIAL }));
  await client.register();

  const waiting = client.nextAggregate(null, { everyMs: 3_600_000 });
  await client.push(INITIAL, null);
  const began = performance.now();
  const { id } = await waiting;

  assert.ok(performance.now() - began < 20_000); // a question is held for 25 seconds
  assert.equal(id, (await client.latestAggregate())?.id);
});

test("the server's words reach the caller", async () => {
  const model = await newModel({ initial_model: INITIAL, update_schema: schemaOf(INITIAL) });
  const client = new FmaClient(url, model);
  await client.register();

  const refused = await client.push([[1], [3]], null).catch((error: unknown) => error);
  const absent = await new FmaClient(url, 999_999).register().catch((error: unknown) => error);

  assert.ok(refused instanceof Refused && absent instanceof Refused);
  assert.equal(refused.status, 400);
  assert.match(Object.values(refused.fields).join(" "), /did not match the required schema/);
  assert.equal(absent.status, 404);
});

test("a million numbers travel as they lie in memory, there and back", async () => {
  const model = await newModel({ requirement: "require_x_updates", requirement_args: [2] });
  const client = new FmaClient(url, model);
  await client.register();
  const filled = (number: number): Tensor => ({ shape: [1000, 1000], data: new Float32Array(1_000_000).fill(number) });

  await client.push({ kernel: filled(1) }, null);
  await client.push({ kernel: filled(2) }, null);
  const { id } = await client.nextAggregate(null);
  const pulled = await client.pull();

  const { kernel } = pulled?.weights as Record<string, Tensor>;
  assert.equal(pulled?.aggregate, id);
  assert.deepEqual(kernel?.shape, [1000, 1000]);
  assert.ok(kernel?.data.every((number) => number === 1.5));
});

test("a user speaks for a client", async () => {
  const model = await newModel({ initial_model: INITIAL });
  const client = new FmaClient(url, model);
  const uuid = await client.register();
  const user = { token: process.env["FOEDUS_TOKEN"] ?? "" };

  const update = await new FmaClient(url, model, { uuid, user }).push(layers(1, 2, 3), null);

  assert.equal(update.client, uuid);
});
