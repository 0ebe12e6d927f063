/** Calls to a server: addresses, credentials, time limits, and patience with one that is busy. */

import { FmaError, Refused, TimedOut, Unreachable } from "./errors.js";
import { Credentials } from "./credentials.js";
import type { Operations } from "./schema.js";

export type Name = keyof Operations;
type Given<T> = T extends Record<string, never> ? undefined : T;

export interface Call<N extends Name> {
  path?: Given<Operations[N]["path"]>;
  query?: Given<Operations[N]["query"]>;
  json?: Operations[N]["body"] extends { "application/json": infer B } ? B : never;
  file?: Operations[N]["body"] extends { "application/vnd.safetensors": Blob } ? Blob : never;
  /** Headers instead of the usual credentials. */
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

export interface LinkOptions {
  /** For one attempt, answer included. Default: a minute. */
  timeoutMs?: number;
  /** How often a call is repeated that the server put off, or a GET that did not get through. Default: 5. */
  retries?: number;
  /** The first pause at most, doubled from one to the next. Servers may ask for longer ones. Default: 500. */
  pauseMs?: number;
  /** No pause is longer; a server that asks for more is not waited for. Default: a minute. */
  longestPauseMs?: number;
  /** Another implementation of fetch. */
  fetch?: typeof fetch;
}

export class Link {
  readonly #base: string;
  readonly #options: Required<LinkOptions>;

  constructor(
    url: string | URL,
    readonly credentials: Credentials,
    options: LinkOptions = {},
  ) {
    this.#base = baseOf(url);
    this.#options = {
      timeoutMs: 60_000,
      retries: 5,
      pauseMs: 500,
      longestPauseMs: 60_000,
      fetch: (...call) => globalThis.fetch(...call),
      ...options,
    };
  }

  get timeoutMs(): number {
    return this.#options.timeoutMs;
  }

  /** The JSON that is answered. */
  async call<N extends Name>(name: N, call: Call<N>): Promise<Operations[N]["answer"]> {
    return this.#patiently(name, call, async (response) => {
      try {
        return await response.json();
      } catch (cause) {
        throw cause instanceof SyntaxError ? new Refused(`${name}: the answer is not JSON`, response.status) : cause;
      }
    });
  }

  /** The bytes that are answered. */
  async bytes<N extends Name>(name: N, call: Call<N>): Promise<ArrayBuffer> {
    return this.#patiently(name, call, (response) => response.arrayBuffer());
  }

  async #patiently<N extends Name, T>(name: N, call: Call<N>, read: (response: Response) => Promise<T>): Promise<T> {
    for (let failures = 0; ; failures += 1) {
      try {
        return await this.#once(name, call, read);
      } catch (error) {
        const pause = failures < this.#options.retries ? this.#pauseAfter(name, error, failures) : undefined;
        if (pause === undefined) throw error;
        await sleep(pause, call.signal);
      }
    }
  }

  /** Undefined: it is of no use to try again, or might do twice what was to be done once. */
  #pauseAfter(name: Name, error: unknown, failures: number): number | undefined {
    const { pauseMs, longestPauseMs } = this.#options;
    const isPutOff = error instanceof Refused && (error.status === 429 || error.status === 503);
    const isLost = error instanceof Unreachable || error instanceof TimedOut;
    if (!isPutOff && !(isLost && name.startsWith("GET "))) return undefined;
    const least = (isPutOff && error.retryAfterMs) || 0;
    if (least > longestPauseMs) return undefined;
    // At random, so that clients that were put off together do not come back together.
    return least + Math.random() * Math.min(longestPauseMs - least, pauseMs * 2 ** failures);
  }

  async #once<N extends Name, T>(name: N, call: Call<N>, read: (response: Response) => Promise<T>): Promise<T> {
    const timeout = AbortSignal.timeout(this.#options.timeoutMs);
    const signal = call.signal ? AbortSignal.any([call.signal, timeout]) : timeout;
    try {
      const response = await this.#options.fetch(this.#request(name, call, signal));
      if (!response.ok) throw await this.#refusal(name, response);
      return await read(response);
    } catch (error) {
      call.signal?.throwIfAborted();
      if (error instanceof FmaError) throw error;
      if (timeout.aborted) throw new TimedOut(`${name}: no answer within ${this.#options.timeoutMs} ms`);
      throw new Unreachable(this.credentials.mask(`${name}: no answer: ${reasonOf(error)}`));
    }
  }

  #request<N extends Name>(name: N, call: Call<N>, signal: AbortSignal): Request {
    const [method = "", template = ""] = name.split(" ");
    const path = template.replace(/\{(\w+)\}/g, (_, key: string) => encodeURIComponent(valueOf(call.path, key)));
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries(call.query ?? {})) {
      if (value !== null && value !== undefined) query.set(key, String(value));
    }
    const headers = new Headers({ Accept: "application/json", ...(call.headers ?? this.credentials.headers()) });
    const body: Blob | string | null = call.json === undefined ? (call.file ?? null) : toJson(call.json);
    if (call.json !== undefined) headers.set("Content-Type", "application/json");
    // Neither cookies nor, by a redirect to somebody else, our own headers leave this page.
    const init: RequestInit = { method, headers, body, signal, credentials: "omit", redirect: "error", cache: "no-store" };
    return new Request(`${this.#base}${path}${query.size ? `?${query}` : ""}`, init);
  }

  async #refusal(name: Name, response: Response): Promise<Refused> {
    const text = this.credentials.mask(await response.text());
    const said = parsed(text);
    const fields = Object.fromEntries(Object.entries(said).filter(([, value]) => Array.isArray(value)));
    const words = typeof said["detail"] === "string" ? said["detail"] : textOf(fields) || response.statusText;
    const after = retryAfterMs(response.headers.get("Retry-After"));
    return new Refused(`${name}: ${response.status}: ${words}`, response.status, fields as Refused["fields"], after);
  }
}

function baseOf(url: string | URL): string {
  const base = URL.canParse(url) ? new URL(url) : undefined;
  if (!base || !/^https?:$/.test(base.protocol)) throw new FmaError("the server's address begins with https:// or http://");
  if (base.username || base.password) throw new FmaError("give user and password as credentials, not in the address");
  return base.origin + base.pathname.replace(/\/+$/, "");
}

function valueOf(path: object | undefined, key: string): string {
  const value: unknown = (path as Record<string, unknown> | undefined)?.[key];
  if (value === undefined) throw new FmaError(`the address needs ${key}`);
  return String(value);
}

/** JSON.stringify would write null for what JSON has no number for. */
function toJson(value: unknown): string {
  return JSON.stringify(value, (key, inner: unknown) => {
    if (typeof inner === "number" && !Number.isFinite(inner)) throw new FmaError(`${key} is ${inner}: only finite numbers can be sent`);
    return inner;
  });
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function textOf(fields: Record<string, unknown>): string {
  return Object.entries(fields)
    .map(([field, texts]) => `${field}: ${(texts as string[]).join(" ")}`)
    .join("; ");
}

/** Seconds, or a date. */
function retryAfterMs(header: string | null): number | undefined {
  if (!header) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  const code: unknown = (cause as { code?: unknown } | undefined)?.code;
  return typeof code === "string" ? `${message} (${code})` : message;
}

export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
