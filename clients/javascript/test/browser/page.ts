/** What a page does with the package: all that a client does once. The server is of another origin. */

import { FmaClient, Refused, type Tensors } from "foedus-fma";

export interface Outcome {
  readonly initial: Tensors | undefined;
  readonly aggregate: number;
  readonly pulled: Tensors | undefined;
  readonly scored: number;
  readonly refused: number | undefined;
}

export async function train(url: string, model: number): Promise<Outcome> {
  const client = new FmaClient(url, model);
  await client.register();
  const start = await client.pull();
  await client.push({ shape: [3], data: Float32Array.of(1, 2, 3) }, start?.aggregate ?? null);
  const { id } = await client.nextAggregate(null);
  const pulled = await client.pull();
  const score = await client.score({ f1: 0.5 }, id);
  const again: unknown = await client.score({ f1: 0.5 }, id).catch((error: unknown) => error);
  return {
    initial: start?.weights,
    aggregate: id,
    pulled: pulled?.weights,
    scored: score.aggregate,
    refused: again instanceof Refused ? again.status : undefined,
  };
}
