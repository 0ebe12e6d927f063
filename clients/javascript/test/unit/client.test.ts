import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { inspect } from "node:util";
import { test } from "node:test";
import { FmaClient, FmaError, Refused, TimedOut, Unreachable } from "foedus-fma";
import { hangsUp, isSilent, says, server } from "./server.js";

const UUID = "0b1f6a0e-58c3-4f0e-9c9b-6f9f3d6c2a11";
const SOON = { pauseMs: 1 };
const BUSY = says(503, { detail: "later" }, { "Retry-After": "0" });

test("a client registers, and is known by its UUID from then on", async (t) => {
  const { url, asked } = await server(t, says(200, { uuid: UUID }), says(200, {}));
  const client = new FmaClient(url, 7);

  assert.equal(await client.register(), UUID);
  assert.equal(await client.latestModel(), null);

  assert.equal(asked[0]?.url, "/api/v1/models/7/register_client/");
  assert.equal(asked[0]?.headers["client-uuid"], undefined);
  assert.equal(asked[1]?.headers["client-uuid"], UUID);
  assert.equal(client.uuid, UUID);
});

test("the server may live below a path", async (t) => {
  const { url, asked } = await server(t, says(200, {}));

  await new FmaClient(`${url}/fma/`, 7).currentArtifact();

  assert.equal(asked[0]?.url, "/fma/api/v1/models/7/get_current_artifact/");
});

test("nested lists are sent as JSON, typed arrays as they lie in memory", async (t) => {
  const { url, asked } = await server(t, says(201, { id: 1 }));
  const client = new FmaClient(url, 7, { uuid: UUID });

  await client.push([[1, 2], [3]], 4);
  await client.push({ shape: [2], data: Float32Array.of(1, 2) }, null);

  assert.deepEqual(JSON.parse(String(asked[0]?.body)), { federated_model: 7, client: UUID, data: [[1, 2], [3]], base_aggregate: 4 });
  assert.equal(asked[1]?.url, `/api/v1/model_updates/?federated_model=7&client=${UUID}`);
  assert.equal(asked[1]?.headers["content-type"], "application/vnd.safetensors");
  assert.deepEqual(asked[1]?.body.subarray(-8), Buffer.from(Float32Array.of(1, 2).buffer));
});

test("a server that takes no tensors gets JSON", async (t) => {
  const { url, asked } = await server(t, says(415, { detail: "no" }), says(201, { id: 1 }));

  await new FmaClient(url, 7, { uuid: UUID }).push([{ shape: [2], data: Float32Array.of(1, 2) }], null);

  assert.deepEqual(JSON.parse(String(asked[1]?.body)).data, [[1, 2]]);
});

test("numbers that JSON does not have are not sent", async (t) => {
  const { url, asked } = await server(t, says(201, {}));
  const client = new FmaClient(url, 7, { uuid: UUID });

  await assert.rejects(client.push([1, Infinity], null), FmaError);
  await assert.rejects(client.score({ f1: NaN }, 1), /f1 is NaN/);

  assert.equal(asked.length, 0);
});

test("who is not registered is told so", async (t) => {
  const { url } = await server(t, says(201, {}));

  await assert.rejects(new FmaClient(url, 7).push([1], null), /call register/);
});

test("users name the client that they speak for", async (t) => {
  const { url, asked } = await server(t, says(201, {}));
  const password = "grün:x";

  await new FmaClient(url, 7, { uuid: UUID, user: { token: "t0ken" } }).score({ f1: 1 }, 3);
  await new FmaClient(url, 7, { uuid: UUID, user: { username: "ann", password } }).score({ f1: 1 }, 3);

  assert.equal(asked[0]?.headers.authorization, "Token t0ken");
  assert.equal(asked[0]?.headers["client-uuid"], undefined);
  assert.equal(JSON.parse(String(asked[0]?.body)).client, UUID);
  assert.equal(asked[1]?.headers.authorization, `Basic ${Buffer.from(`ann:${password}`).toString("base64")}`);
});

test("a refusal carries the server's words for each field", async (t) => {
  const { url } = await server(t, says(400, { validation_results: ["This field may not be null."] }));

  const refused = await new FmaClient(url, 7, { uuid: UUID }).score(null, 1).catch((error: unknown) => error);

  assert.ok(refused instanceof Refused);
  assert.equal(refused.status, 400);
  assert.deepEqual(refused.fields, { validation_results: ["This field may not be null."] });
  assert.match(refused.message, /^POST \/api\/v1\/client_aggregate_scores\/: 400: validation_results: This field/);
});

test("a refusal that is not JSON is one all the same", async (t) => {
  const { url } = await server(t, (response) => response.writeHead(502).end("<html>"));

  await assert.rejects(new FmaClient(url, 7).latestModel(), { name: "Refused", status: 502, message: /Bad Gateway/ });
});

test("a success that is not JSON is refused", async (t) => {
  const { url } = await server(t, (response) => response.writeHead(200).end("<html>"));

  await assert.rejects(new FmaClient(url, 7).latestModel(), { name: "Refused", message: /not JSON/ });
});

test("a server that is busy is asked again, updates too", async (t) => {
  const { url, asked } = await server(t, BUSY, says(429, { detail: "x" }, { "Retry-After": "0" }), says(201, { id: 9 }));

  const update = await new FmaClient(url, 7, { uuid: UUID, ...SOON }).push([1], null);

  assert.equal(update.id, 9);
  assert.equal(asked.length, 3);
});

test("it is given the time that it asks for", async (t) => {
  const { url } = await server(t, says(429, {}, { "Retry-After": "1" }), says(200, {}));
  const began = performance.now();

  await new FmaClient(url, 7, SOON).latestModel();

  assert.ok(performance.now() - began >= 990);
});

test("a server that asks for too much time is not waited for", async (t) => {
  const date = new Date(Date.now() + 3_600_000).toUTCString();
  const { url, asked } = await server(t, says(503, { detail: "tomorrow" }, { "Retry-After": date }));

  const refused = await new FmaClient(url, 7, SOON).latestModel().catch((error: unknown) => error);

  assert.ok(refused instanceof Refused);
  assert.ok((refused.retryAfterMs ?? 0) > 3_500_000);
  assert.equal(asked.length, 1);
});

test("patience has an end", async (t) => {
  const { url, asked } = await server(t, BUSY);

  await assert.rejects(new FmaClient(url, 7, { ...SOON, retries: 2 }).latestModel(), { status: 503 });

  assert.equal(asked.length, 3);
});

test("lost answers are asked for again, but nothing is sent twice", async (t) => {
  const { url, asked } = await server(t, hangsUp, hangsUp, says(200, {}), hangsUp, says(201, {}));
  const client = new FmaClient(url, 7, { uuid: UUID, ...SOON });

  assert.equal(await client.latestModel(), null);
  await assert.rejects(client.push([1], null), Unreachable);

  assert.equal(asked.length, 4);
});

test("a silent server is given up", async (t) => {
  const { url } = await server(t, isSilent);

  await assert.rejects(new FmaClient(url, 7, { timeoutMs: 50, retries: 0 }).latestModel(), TimedOut);
});

test("callers may change their mind, in a call and between two", async (t) => {
  const { url } = await server(t, says(503, {}, { "Retry-After": "30" }));
  const silent = await server(t, isSilent);
  for (const address of [url, silent.url]) {
    const abort = new AbortController();
    setTimeout(() => abort.abort(new Error("changed my mind")), 50);

    await assert.rejects(new FmaClient(address, 7).latestModel({ signal: abort.signal }), /changed my mind/);
  }
});

test("a server that waits is asked once, and again as soon as it has waited in vain", async (t) => {
  const late = (response: ServerResponse): unknown => setTimeout(() => says(200, { id: 4 })(response), 300);
  const { url, asked } = await server(t, late, says(200, { id: 5 }));
  const began = performance.now();

  const next = await new FmaClient(url, 7, { timeoutMs: 1_000 }).nextAggregate(4, { everyMs: 60_000 });

  assert.equal(next.id, 5);
  assert.equal(asked[0]?.url, "/api/v1/models/7/get_latest_aggregate/?newer_than=4&wait=0.5");
  assert.ok(performance.now() - began < 20_000);
});

test("a server that does not wait is asked every now and then", async (t) => {
  const { url, asked } = await server(t, says(200, {}), says(200, { id: 4 }), says(200, { id: 5 }));

  const next = await new FmaClient(url, 7).nextAggregate(4, { everyMs: 1 });

  assert.equal(next.id, 5);
  assert.equal(asked.length, 3);
});

test("redirects are not followed with credentials in hand", async (t) => {
  const other = await server(t, says(200, {}));
  const { url } = await server(t, (response) => response.writeHead(302, { Location: other.url }).end());

  await assert.rejects(new FmaClient(url, 7, { uuid: UUID, retries: 0 }).latestModel(), Unreachable);

  assert.equal(other.asked.length, 0);
});

test("secrets are in no error, and are not printed", async (t) => {
  const user = { username: "ann", password: 'correct "horse' };
  const code = Buffer.from(`ann:${user.password}`).toString("base64");
  const { url } = await server(t, says(400, { detail: `who is ${UUID}?`, f: [code, user.password] }));
  const client = new FmaClient(url, 7, { uuid: UUID, user });

  const refused = await client.latestModel().catch((error: unknown) => error);

  for (const text of [inspect(refused, { depth: 9 }), inspect(client, { depth: 9, showHidden: true })]) {
    for (const secret of [UUID, user.password, 'correct \\"horse', code]) assert.ok(!text.includes(secret), text);
  }
  assert.match(inspect(refused), /who is \*\*\*\?/);
});

test("credentials that cannot be sent are refused without being quoted", () => {
  const address = "https://fl.example.org";
  const wrong: (() => unknown)[] = [
    () => new FmaClient(address, 7, { user: { token: "s3cret\n" } }),
    () => new FmaClient(address, 7, { uuid: "s3cret" }),
    () => new FmaClient("https://ann:s3cret@fl.example.org", 7),
    () => new FmaClient("ftp://s3cret", 7),
  ];
  for (const make of wrong) {
    assert.throws(make, (error: unknown) => error instanceof FmaError && !inspect(error).includes("s3cret"));
  }
});
