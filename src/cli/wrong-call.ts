import { AckgateError, type AckgateErrorCode } from '../errors.js';
import { faultPosition } from '../policy/index.js';

/** A call of the command line that can't be carried out as written. `main` reports it and exits 2. */
export class WrongCall extends Error {
  readonly code: string;
  /** Where in the text at fault, 0-based; null when that isn't known. */
  readonly position: number | null;
  /** Lines to show under the message, for people. */
  readonly excerpt: readonly string[];

  constructor(
    code: string,
    message: string,
    position: number | null = null,
    excerpt: readonly string[] = [],
  ) {
    super(message);
    this.code = code;
    this.position = position;
    this.excerpt = excerpt;
  }

  /** For an option with a text that means nothing; `what` says what to write instead. */
  static value(
    option: string,
    text: string,
    what: string,
    code: AckgateErrorCode = 'ERR_ACKGATE_INVALID_ARGUMENT',
  ): WrongCall {
    return new WrongCall(code, `${option} "${text}": ${what}`);
  }

  /** Runs `read` on a text that the user wrote; its typed error becomes a wrong call that points at the fault. */
  static guard<T>(text: string, read: (text: string) => T): T {
    try {
      return read(text);
    } catch (error) {
      if (!(error instanceof AckgateError)) throw error;
      const position = faultPosition(error);
      const excerpt = position === null ? [] : pointAt(text, position);
      throw new WrongCall(error.code, error.message, position, excerpt);
    }
  }
}

/** The text on one line and a caret under the position. */
function pointAt(text: string, position: number): string[] {
  // Line breaks and control characters would tear the two lines apart.
  const line = text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, ' ');
  return [`  ${line}`, `  ${' '.repeat(position)}^`];
}
