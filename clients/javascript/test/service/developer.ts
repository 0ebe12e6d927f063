/** What a developer of models does, by the API. */

const { FOEDUS_URL, FOEDUS_TOKEN } = process.env;
if (!FOEDUS_URL || !FOEDUS_TOKEN) throw new Error("set FOEDUS_URL and FOEDUS_TOKEN to a server and its operator's token");

export const url = FOEDUS_URL;

export async function newModel(fields: object): Promise<number> {
  const common = { name: "demo", developer: 1, aggregator: "average_layers", allow_aggregation: true };
  return (await post("models/", { ...common, ...fields })).id;
}

export async function publish(aggregate: number, version: string): Promise<void> {
  await post(`model_aggregates/${aggregate}/publish_aggregate/`, { version });
}

async function post(path: string, fields: object): Promise<{ id: number }> {
  const response = await fetch(`${url}/api/v1/${path}`, {
    method: "POST",
    headers: { Authorization: `Token ${FOEDUS_TOKEN}`, "Content-Type": "application/json" },
    body: JSON.stringify(fields),
  });
  if (!response.ok) throw new Error(`${path}: ${response.status}: ${await response.text()}`);
  return (await response.json()) as { id: number };
}
