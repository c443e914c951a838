import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Answer } from './answer.js';
import type { Audit } from './audit.js';
import type { BodyReader } from './body.js';
import type { Caller } from './guard.js';
import type { CheckedAdmin } from './options.js';
import type { Target } from './request.js';

/** What every route works with. */
export interface AdminContext {
  readonly options: CheckedAdmin;
  readonly audit: Audit;
  readonly bodies: BodyReader;
  /** Aborted when the server closes: nothing waits any longer. */
  readonly closing: AbortSignal;
  /** Aborted when the application takes no new work: `/ready` says no from then on. */
  readonly withdrawn: AbortSignal;
}

/** One call, checked as far as its route asks. */
export interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: Target;
  readonly caller: Caller;
}

/** Null: the client is gone, there is nobody to answer. */
export type Handler = (call: Call) => Answer | null | Promise<Answer | null>;

export interface Route {
  /** By method; HEAD is answered like GET. */
  readonly methods: Readonly<Partial<Record<'GET' | 'POST', Handler>>>;
  /** Only with the bearer token. */
  readonly admin: boolean;
}
