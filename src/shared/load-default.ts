import { AckgateError, type AckgateErrorCode } from '../errors.js';

/** The default export of a module, as it is. */
export async function loadDefaultExport(url: string, what: string, code: AckgateErrorCode): Promise<unknown> {
  try {
    return ((await import(url)) as { default?: unknown }).default;
  } catch (cause) {
    throw new AckgateError(code, `${what} module ${url} could not be loaded: ${cause}`, { cause });
  }
}

/** The default export of a module; when that is a function, what it returns. */
export async function loadDefault(url: string, what: string): Promise<unknown> {
  const exported = await loadDefaultExport(url, what, 'ERR_ACKGATE_ENCODER_MODULE');
  try {
    return typeof exported === 'function' ? await exported() : exported;
  } catch (cause) {
    const message = `${what} module ${url} could not be loaded: ${cause}`;
    throw new AckgateError('ERR_ACKGATE_ENCODER_MODULE', message, { cause });
  }
}
