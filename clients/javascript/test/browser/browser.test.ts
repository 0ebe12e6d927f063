/** In a browser, CHROMIUM; its page is at FOEDUS_PAGE_PORT of this machine, which the server must let call. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { newModel, url } from "../service/developer.js";

const { CHROMIUM, FOEDUS_PAGE_PORT } = process.env;
const PACKAGE = new URL("../../", import.meta.url);
const SECONDS = 60;
const QUIET = [
  "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
];

const page = (model: number): string => `<!doctype html>
<script type="importmap">{ "imports": { "foedus-fma": "/dist/index.js" } }</script>
<script type="module">
  const said = await import("/build/browser/page.js")
    .then(({ train }) => train(${JSON.stringify(url)}, ${model}))
    .catch((error) => ({ error: String(error) }));
  await fetch("/said", { method: "POST", body: JSON.stringify(said, (_, value) =>
    ArrayBuffer.isView(value) ? [value.constructor.name, ...value] : value) });
</script>`;

type Said = Record<string, unknown>;

/** Serves the page and the built package; `said` is what the page says in the end. */
async function pageServer(context: TestContext, html: string): Promise<{ said: Promise<Said> }> {
  let hear: (said: Said) => void;
  const said = new Promise<Said>((resolve) => (hear = resolve));
  const http = createServer(async (request, response) => {
    const path = request.url ?? "";
    if (path === "/said") {
      hear(JSON.parse(Buffer.concat(await request.toArray()).toString()));
      response.end();
    } else if (/^\/(dist|build)\/[\w/-]+\.js$/.test(path)) {
      response.setHeader("Content-Type", "text/javascript").end(await readFile(new URL(`.${path}`, PACKAGE)));
    } else {
      response.setHeader("Content-Type", "text/html").end(path === "/" ? html : "");
    }
  });
  http.listen(Number(FOEDUS_PAGE_PORT), "127.0.0.1");
  await once(http, "listening");
  context.after(() => {
    http.closeAllConnections();
    http.close();
  });
  return { said };
}

async function browse(context: TestContext, address: string): Promise<void> {
  const profile = await mkdtemp(join(tmpdir(), "foedus-page-"));
  const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : []; // the sandbox refuses to work for root
  const browser = spawn(CHROMIUM ?? "", [...QUIET, ...sandbox, `--user-data-dir=${profile}`, "--remote-debugging-port=0", address], {
    stdio: "ignore",
    detached: true,
  });
  const gone = once(browser, "exit");
  context.after(async () => {
    if (browser.pid) process.kill(-browser.pid, "SIGKILL"); // and the processes that it has made
    await gone;
    await rm(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  });
}

test("a page of another origin trains", { timeout: SECONDS * 1000 }, async (t) => {
  const { said } = await pageServer(t, page(await newModel({ initial_model: [0, 0, 0] })));

  await browse(t, `http://127.0.0.1:${FOEDUS_PAGE_PORT}/`);
  const { aggregate, ...outcome } = await said;

  assert.equal(typeof aggregate, "number", JSON.stringify(outcome));
  assert.deepEqual(outcome, {
    initial: { shape: [3], data: ["Float64Array", 0, 0, 0] },
    pulled: { shape: [3], data: ["Float64Array", 1, 2, 3] },
    scored: aggregate,
    refused: 400,
  });
});
