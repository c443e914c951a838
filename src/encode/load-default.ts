import { AckgateError } from '../errors.js';

/** The default export of a module; when that is a function, what it returns. */
export async function loadDefault(url: string, what: string): Promise<unknown> {
  try {
    const exported = ((await import(url)) as { default?: unknown }).default;
    return typeof exported === 'function' ? await exported() : exported;
  } catch (error) {
    throw new AckgateError(
      'ERR_ACKGATE_ENCODER_MODULE',
      `${what} module ${url} could not be loaded: ${error}`,
      {
        cause: error,
      },
    );
  }
}
