/** Any structured logger that takes the fields first, such as pino. */
export interface Logger {
  /** What helps to find a fault. */
  debug(fields: object, message: string): void;
  /** What an operator may want to know. */
  info(fields: object, message: string): void;
  /** What goes on, but not as it should. */
  warn(fields: object, message: string): void;
  /** What somebody has to look at. */
  error(fields: object, message: string): void;
}

/** Logs nothing. */
export const silentLogger: Logger = Object.freeze({
  debug() {},
  info() {},
  warn() {},
  error() {},
});
