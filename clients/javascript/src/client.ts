import { Credentials, type User } from "./credentials.js";
import { FmaError, Refused } from "./errors.js";
import { Link, sleep, type LinkOptions } from "./link.js";
import { decode, encode } from "./safetensors.js";
import type { Aggregate, Artifact, LatestModel, Nothing, Score, Update, Weights } from "./schema.js";
import { fromNested, isTensors, toNested, type Tensors } from "./tensors.js";

export interface ClientOptions extends LinkOptions {
  /** Who this client was the last time; without it, `register` makes a new one. */
  uuid?: string;
  /** Call as a user, on behalf of the client. */
  user?: User;
}

export interface Calling {
  signal?: AbortSignal;
}

export interface Waiting extends Calling {
  /** How often to ask a server that does not wait by itself. Default: every two seconds. */
  everyMs?: number;
}

/** What to train from. */
export interface Pulled {
  readonly weights: Tensors;
  /** The aggregate these weights are; null: what the model began with, or was published. */
  readonly aggregate: number | null;
}

const LATEST = "GET /api/v1/models/{id}/get_latest_aggregate/";
const LONGEST_WAIT_S = 25; // proxies tend to give up after half a minute

/** One client of one federated model. Making it sends nothing. */
export class FmaClient {
  readonly #credentials: Credentials;
  readonly #link: Link;

  constructor(
    url: string | URL,
    readonly model: number,
    { uuid, user, ...options }: ClientOptions = {},
  ) {
    this.#credentials = new Credentials(user, uuid);
    this.#link = new Link(url, this.#credentials, options);
  }

  /** Keep it: it is how the server knows this client again. */
  get uuid(): string | undefined {
    return this.#credentials.uuid;
  }

  /** Join the model, as a new client or as the one that this is. */
  async register({ signal }: Calling = {}): Promise<string> {
    const headers = this.#credentials.client();
    const name = "POST /api/v1/models/{id}/register_client/";
    const { uuid } = await this.#link.call(name, { path: { id: this.model }, headers, signal });
    this.#credentials.uuid = uuid;
    return uuid;
  }

  async latestAggregate({ signal }: Calling = {}): Promise<Aggregate | null> {
    return orNull(await this.#link.call(LATEST, { path: { id: this.model }, signal }));
  }

  async currentArtifact({ signal }: Calling = {}): Promise<Artifact | null> {
    const name = "GET /api/v1/models/{id}/get_current_artifact/";
    return orNull(await this.#link.call(name, { path: { id: this.model }, signal }));
  }

  /** The newest weights as nested lists. For more than a few thousand numbers, `pull` costs far less. */
  async latestModel({ signal }: Calling = {}): Promise<LatestModel | null> {
    const name = "GET /api/v1/models/{id}/get_latest_model/";
    return orNull(await this.#link.call(name, { path: { id: this.model }, signal }));
  }

  /** The newest weights as typed arrays: of the newest aggregate, or else of what is published. */
  async pull(calling: Calling = {}): Promise<Pulled | null> {
    const aggregate = await this.latestAggregate(calling);
    const found = aggregate ?? (await this.currentArtifact(calling));
    if (!found) return null;
    const folder = aggregate ? "model_aggregates" : "model_artifacts";
    const path = { folder, id: found.id, kind: "safetensors" } as const;
    try {
      const file = await this.#link.bytes("GET /mediafiles/{folder}/{id}.{kind}", { path, signal: calling.signal });
      return { weights: decode(file), aggregate: aggregate?.id ?? null };
    } catch (error) {
      if (!isStatus(error, 404)) throw error;
    }
    const latest = await this.latestModel(calling); // what came as JSON may be there as JSON only
    return latest && { weights: fromNested(latest.values), aggregate: latest.aggregate };
  }

  /**
   * Hand in the whole new weights. `baseAggregate` is what they were trained from: `aggregate` of `pull`.
   *
   * Typed arrays travel as safetensors, nested lists as JSON. It is not repeated when the answer got lost, for the
   * server counts every update; then ask `pull` what became of it.
   */
  async push(weights: Tensors | Weights, baseAggregate: number | null, { signal }: Calling = {}): Promise<Update> {
    const about = { federated_model: this.model, client: this.#registered() };
    const name = "POST /api/v1/model_updates/";
    if (isTensors(weights)) {
      const query = baseAggregate === null ? about : { ...about, base_aggregate: baseAggregate };
      try {
        return await this.#link.call(name, { query, file: encode(weights), signal });
      } catch (error) {
        if (!isStatus(error, 415)) throw error;
      }
    }
    const data = isTensors(weights) ? toNested(weights) : weights; // other servers take JSON only
    return this.#link.call(name, { json: { ...about, data, base_aggregate: baseAggregate }, signal });
  }

  /** Say how good an aggregate is on this client's data. Once for each. */
  async score(results: unknown, aggregate: number, { signal }: Calling = {}): Promise<Score> {
    const json = { validation_results: results, aggregate, client: this.#registered() };
    return this.#link.call("POST /api/v1/client_aggregate_scores/", { json, signal });
  }

  /**
   * Wait for an aggregate that is newer than `after` (null: for the first). The server holds the question until there is
   * one; a server that does not is asked every now and then.
   */
  async nextAggregate(after: number | null, { signal, everyMs = 2_000 }: Waiting = {}): Promise<Aggregate> {
    const wait = Math.min(LONGEST_WAIT_S, this.#link.timeoutMs / 2_000);
    const query = { newer_than: after ?? 0, wait };
    for (;;) {
      const asked = performance.now();
      const latest = orNull(await this.#link.call(LATEST, { path: { id: this.model }, query, signal }));
      if (latest && latest.id > query.newer_than) return latest;
      const wasHeld = performance.now() - asked > wait * 500;
      if (!wasHeld) await sleep(everyMs * (0.5 + Math.random()), signal);
    }
  }

  #registered(): string {
    if (!this.uuid) throw new FmaError("this client is not registered: call register() first, or give its uuid");
    return this.uuid;
  }
}

function orNull<T extends object>(answer: T | Nothing): T | null {
  return Object.keys(answer).length ? (answer as T) : null;
}

function isStatus(error: unknown, status: number): boolean {
  return error instanceof Refused && error.status === status;
}
