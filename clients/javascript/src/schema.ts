// Written by scripts/schema.js from the server's description: npm run schema -- URL

export type Nested = number | readonly Nested[];

export type Weights = Nested | { readonly [name: string]: Nested };

export type Nothing = Record<string, never>;

export type FieldErrors = { readonly [name: string]: readonly string[] };

export interface Detail {
  readonly detail: string;
}

export type Root = { readonly [name: string]: string };

export interface Login {
  readonly username: string;
  readonly password: string;
}

export interface Token {
  readonly token: string;
}

export interface Client {
  readonly uuid: string;
}

export interface ScoreRule {
  readonly metric?: string;
  readonly publish?: "max" | "min";
  readonly clients?: number;
}

export interface Model {
  readonly id: number;
  readonly name: string;
  readonly developer: number;
  readonly aggregator: string;
  readonly requirement: "" | "all_clients" | "require_x_updates";
  readonly requirement_args: readonly number[] | null;
  readonly allow_aggregation: boolean;
  readonly update_schema: unknown;
  readonly client_agg_results_schema: unknown;
  readonly furthest_base_agg: number | null;
  readonly clients: readonly string[];
  readonly created_on: string;
  readonly last_modified: string;
  readonly current_artifact: number | null;
  readonly score_rule?: ScoreRule;
  readonly aggregator_options?: { readonly [name: string]: unknown };
}

export interface ModelIn {
  readonly name: string;
  readonly developer: number;
  readonly aggregator: string;
  readonly requirement?: "" | "all_clients" | "require_x_updates";
  readonly requirement_args?: readonly number[] | null;
  readonly allow_aggregation?: boolean;
  readonly update_schema?: unknown;
  readonly client_agg_results_schema?: unknown;
  readonly furthest_base_agg?: number | null;
  readonly clients?: readonly string[];
  readonly score_rule?: ScoreRule | null;
  readonly aggregator_options?: { readonly [name: string]: unknown } | null;
}

export interface ModelPatch {
  readonly name?: string;
  readonly developer?: number;
  readonly aggregator?: string;
  readonly requirement?: "" | "all_clients" | "require_x_updates";
  readonly requirement_args?: readonly number[] | null;
  readonly allow_aggregation?: boolean;
  readonly update_schema?: unknown;
  readonly client_agg_results_schema?: unknown;
  readonly furthest_base_agg?: number | null;
  readonly clients?: readonly string[];
  readonly score_rule?: ScoreRule | null;
  readonly aggregator_options?: { readonly [name: string]: unknown } | null;
}

export interface NewModel {
  readonly name: string;
  readonly developer: number;
  readonly aggregator: string;
  readonly requirement?: "" | "all_clients" | "require_x_updates";
  readonly requirement_args?: readonly number[] | null;
  readonly allow_aggregation?: boolean;
  readonly update_schema?: unknown;
  readonly client_agg_results_schema?: unknown;
  readonly furthest_base_agg?: number | null;
  readonly clients?: readonly string[];
  readonly score_rule?: ScoreRule | null;
  readonly aggregator_options?: { readonly [name: string]: unknown } | null;
  readonly initial_model?: unknown;
}

export interface Update {
  readonly id: number;
  readonly data: string;
  readonly created_on: string;
  readonly client: string;
  readonly federated_model: number;
  readonly base_aggregate: number | null;
  readonly status?: 0 | 1 | 2 | 3 | 4;
  readonly applied_aggregate?: number | null;
  readonly reason?: string;
}

export interface UpdateIn {
  readonly federated_model: number;
  readonly data: Weights;
  readonly base_aggregate?: number | null;
  readonly client?: string;
  readonly examples?: number | null;
  readonly metrics?: { readonly [name: string]: number } | null;
}

export interface UpdatePatch {
  readonly federated_model?: number;
  readonly data?: Weights;
  readonly base_aggregate?: number | null;
  readonly client?: string;
  readonly examples?: number | null;
  readonly metrics?: { readonly [name: string]: number } | null;
}

export interface Aggregate {
  readonly id: number;
  readonly result: string;
  readonly validation_score: number | null;
  readonly created_on: string;
  readonly lft: number;
  readonly rght: number;
  readonly tree_id: number;
  readonly level: number;
  readonly federated_model: number;
  readonly parent: number | null;
}

export interface AggregateWeights {
  readonly id: number;
  readonly result: Weights;
  readonly validation_score: number | null;
  readonly created_on: string;
  readonly lft: number;
  readonly rght: number;
  readonly tree_id: number;
  readonly level: number;
  readonly federated_model: number;
  readonly parent: number | null;
}

export interface AggregateForm {
  readonly federated_model: number;
  readonly result: Blob;
  readonly parent?: number | null;
  readonly validation_score?: number | null;
}

export interface AggregatePatch {
  readonly validation_score?: number | null;
}

export interface Version {
  readonly version: string;
}

export interface Artifact {
  readonly id: number;
  readonly values: string;
  readonly version: string;
  readonly created_on: string;
  readonly federated_model: number;
}

export interface LatestModel {
  readonly values: Weights;
  readonly aggregate: number | null;
}

export interface Score {
  readonly id: number;
  readonly aggregate: number;
  readonly client: string;
  readonly validation_results: unknown;
  readonly created_on: string;
}

export interface ScoreIn {
  readonly aggregate: number;
  readonly client: string;
  readonly validation_results: unknown;
}

export interface ScorePatch {
  readonly aggregate?: number;
  readonly client?: string;
  readonly validation_results?: unknown;
}

/** Every call of the API, by method and address. */
export interface Operations {
  "POST /api-token-auth/": {
    path: Record<string, never>;
    query: Record<string, never>;
    body: { "application/json": Login };
    answer: Token;
  };
  "GET /api/v1/": {
    path: Record<string, never>;
    query: Record<string, never>;
    body: never;
    answer: Root;
  };
  "GET /api/v1/openapi.json": {
    path: Record<string, never>;
    query: Record<string, never>;
    body: never;
    answer: { readonly [name: string]: unknown };
  };
  "GET /api/v1/models/": {
    path: Record<string, never>;
    query: { page?: number | "last"; page_size?: number; ordering?: "created_on" | "-created_on"; allow_aggregation?: boolean };
    body: never;
    answer: readonly Model[];
  };
  "POST /api/v1/models/": {
    path: Record<string, never>;
    query: { name?: string; aggregator?: string; requirement?: string };
    body: { "application/json": NewModel; "application/vnd.safetensors": Blob };
    answer: Model;
  };
  "GET /api/v1/models/{id}/": {
    path: { id: number };
    query: Record<string, never>;
    body: never;
    answer: Model;
  };
  "PUT /api/v1/models/{id}/": {
    path: { id: number };
    query: Record<string, never>;
    body: { "application/json": ModelIn };
    answer: Model;
  };
  "PATCH /api/v1/models/{id}/": {
    path: { id: number };
    query: Record<string, never>;
    body: { "application/json": ModelPatch };
    answer: Model;
  };
  "DELETE /api/v1/models/{id}/": {
    path: { id: number };
    query: Record<string, never>;
    body: never;
    answer: undefined;
  };
  "POST /api/v1/models/{id}/register_client/": {
    path: { id: number };
    query: Record<string, never>;
    body: never;
    answer: Client;
  };
  "GET /api/v1/models/{id}/get_latest_aggregate/": {
    path: { id: number };
    query: { signed?: boolean; newer_than?: number; wait?: number };
    body: never;
    answer: Aggregate | Nothing;
  };
  "GET /api/v1/models/{id}/get_current_artifact/": {
    path: { id: number };
    query: { signed?: boolean };
    body: never;
    answer: Artifact | Nothing;
  };
  "GET /api/v1/models/{id}/get_latest_model/": {
    path: { id: number };
    query: Record<string, never>;
    body: never;
    answer: LatestModel | Nothing;
  };
  "GET /api/v1/model_updates/": {
    path: Record<string, never>;
    query: { page?: number | "last"; page_size?: number; ordering?: "created_on" | "-created_on"; federated_model?: number; status?: 0 | 1 | 2 | 3 | 4 };
    body: never;
    answer: readonly Update[];
  };
  "POST /api/v1/model_updates/": {
    path: Record<string, never>;
    query: { federated_model?: number; base_aggregate?: number; client?: string };
    body: { "application/json": UpdateIn; "application/vnd.safetensors": Blob };
    answer: Update;
  };
  "GET /api/v1/model_updates/{id}/": {
    path: { id: number };
    query: { signed?: boolean };
    body: never;
    answer: Update;
  };
  "PUT /api/v1/model_updates/{id}/": {
    path: { id: number };
    query: { federated_model?: number; base_aggregate?: number; client?: string };
    body: { "application/json": UpdateIn; "application/vnd.safetensors": Blob };
    answer: Update;
  };
  "PATCH /api/v1/model_updates/{id}/": {
    path: { id: number };
    query: { federated_model?: number; base_aggregate?: number; client?: string };
    body: { "application/json": UpdatePatch; "application/vnd.safetensors": Blob };
    answer: Update;
  };
  "DELETE /api/v1/model_updates/{id}/": {
    path: { id: number };
    query: Record<string, never>;
    body: never;
    answer: undefined;
  };
  "GET /api/v1/model_aggregates/": {
    path: Record<string, never>;
    query: { page?: number | "last"; page_size?: number; ordering?: "created_on" | "-created_on" | "validation_score" | "-validation_score"; federated_model?: number };
    body: never;
    answer: readonly Aggregate[];
  };
  "POST /api/v1/model_aggregates/": {
    path: Record<string, never>;
    query: { federated_model?: number; parent?: number; validation_score?: string };
    body: { "application/vnd.safetensors": Blob };
    answer: Aggregate;
  };
  "GET /api/v1/model_aggregates/{id}/": {
    path: { id: number };
    query: Record<string, never>;
    body: never;
    answer: AggregateWeights;
  };
  "PUT /api/v1/model_aggregates/{id}/": {
    path: { id: number };
    query: Record<string, never>;
    body: { "application/json": AggregatePatch };
    answer: Aggregate;
  };
  "PATCH /api/v1/model_aggregates/{id}/": {
    path: { id: number };
    query: Record<string, never>;
    body: { "application/json": AggregatePatch };
    answer: Aggregate;
  };
  "DELETE /api/v1/model_aggregates/{id}/": {
    path: { id: number };
    query: Record<string, never>;
    body: never;
    answer: undefined;
  };
  "POST /api/v1/model_aggregates/{id}/publish_aggregate/": {
    path: { id: number };
    query: { signed?: boolean };
    body: { "application/json": Version };
    answer: Artifact;
  };
  "GET /api/v1/client_aggregate_scores/": {
    path: Record<string, never>;
    query: { page?: number | "last"; page_size?: number; ordering?: "created_on" | "-created_on"; aggregate?: number; client?: string };
    body: never;
    answer: readonly Score[];
  };
  "POST /api/v1/client_aggregate_scores/": {
    path: Record<string, never>;
    query: Record<string, never>;
    body: { "application/json": ScoreIn };
    answer: Score;
  };
  "GET /api/v1/client_aggregate_scores/{id}/": {
    path: { id: number };
    query: Record<string, never>;
    body: never;
    answer: Score;
  };
  "PUT /api/v1/client_aggregate_scores/{id}/": {
    path: { id: number };
    query: Record<string, never>;
    body: { "application/json": ScoreIn };
    answer: Score;
  };
  "PATCH /api/v1/client_aggregate_scores/{id}/": {
    path: { id: number };
    query: Record<string, never>;
    body: { "application/json": ScorePatch };
    answer: Score;
  };
  "DELETE /api/v1/client_aggregate_scores/{id}/": {
    path: { id: number };
    query: Record<string, never>;
    body: never;
    answer: undefined;
  };
  "GET /mediafiles/{folder}/{id}.{kind}": {
    path: { id: number; folder: "model_updates" | "model_aggregates" | "model_artifacts"; kind: "json" | "safetensors" };
    query: { expires?: string; signature?: string };
    body: never;
    answer: Blob;
  };
}
