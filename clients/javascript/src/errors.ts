import type { FieldErrors } from "./schema.js";

/** Whatever goes wrong here. No text holds a token, a password or a UUID that calls were made with. */
export class FmaError extends Error {
  override get name(): string {
    return this.constructor.name;
  }
}

/** The server did not answer, or broke off. */
export class Unreachable extends FmaError {}

/** The server did not answer in time. */
export class TimedOut extends FmaError {}

/** The server said no. */
export class Refused extends FmaError {
  constructor(
    message: string,
    readonly status: number,
    /** What is wrong with each field; across fields as `non_field_errors`. */
    readonly fields: FieldErrors = {},
    /** When to come again, if the server said so. */
    readonly retryAfterMs?: number,
  ) {
    super(message);
  }
}
