/** A server that answers what it is told to, and remembers what it was asked. */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";

export type Answer = (response: ServerResponse) => void;

export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

export function says(status: number, value: unknown, headers: Record<string, string> = {}): Answer {
  return (response) => response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(value));
}

export const hangsUp: Answer = (response) => response.socket?.destroy();
export const isSilent: Answer = () => {};

/** The last answer is given from then on. */
export async function server(context: TestContext, ...answers: Answer[]): Promise<{ url: string; asked: Asked[] }> {
  const asked: Asked[] = [];
  const http = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray());
    asked.push({ method: request.method ?? "", url: request.url ?? "", headers: request.headers, body });
    answers[Math.min(asked.length, answers.length) - 1]?.(response);
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  context.after(() => {
    http.closeAllConnections();
    http.close();
  });
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, asked };
}
