import type { Operation } from '#ackgate/soak/driver.js';

// The echo server and its driver, which is plain JavaScript for `ackgate soak --driver`.

export { echoDriver, echoServer } from '../fixtures/soak/echo-driver.mjs';

export interface EchoDriverOptions {
  /** The server, a program that is given its port as the first argument. */
  readonly script?: string;
  /** After the port. */
  readonly args?: readonly string[];
  /** Of Node itself. */
  readonly execArgs?: readonly string[];
  readonly operations?: readonly Operation[];
}
