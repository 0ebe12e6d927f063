/** Who is calling: a client by its UUID, or a user by a token or a password. */

import { FmaError } from "./errors.js";

export type User = { readonly token: string } | { readonly username: string; readonly password: string };

const UUID = /^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/i;
const MASK = "***";

export class Credentials {
  readonly #authorization: string | undefined;
  readonly #secrets: string[];
  #uuid: string | undefined;

  constructor(user?: User, uuid?: string) {
    this.#secrets = user ? Object.entries(user).flatMap(([name, text]) => (name === "username" ? [] : [text])) : [];
    this.#authorization = user && authorizationOf(user);
    if (this.#authorization) this.#secrets.push(this.#authorization.replace(/^\w+ /, ""));
    if (uuid) this.uuid = uuid;
  }

  get uuid(): string | undefined {
    return this.#uuid;
  }

  set uuid(uuid: string | undefined) {
    if (!uuid || !UUID.test(uuid)) throw new FmaError("a client's UUID has 32 hexadecimal digits");
    this.#uuid = uuid;
    this.#secrets.push(uuid);
  }

  /** A user's credentials win: servers would look at `CLIENT-UUID` before a token. */
  headers(): Record<string, string> {
    return this.#authorization ? { Authorization: this.#authorization } : this.client();
  }

  client(): Record<string, string> {
    return this.#uuid ? { "CLIENT-UUID": this.#uuid } : {};
  }

  /** The text without what is nobody's business, should it be in there. */
  mask(text: string): string {
    const secrets = this.#secrets.flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)]);
    return secrets.reduce((masked, secret) => (secret ? masked.replaceAll(secret, MASK) : masked), text);
  }
}

function authorizationOf(user: User): string {
  if ("token" in user) {
    // A header that cannot be sent would be quoted, with the token in it, by the error of fetch.
    if (!/^[\x21-\x7e]+$/.test(user.token)) throw new FmaError("a token has visible ASCII characters only");
    return `Token ${user.token}`;
  }
  if (user.username.includes(":")) throw new FmaError("a user's name has no colon");
  const bytes = new TextEncoder().encode(`${user.username}:${user.password}`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}
