import { repeatsName } from './repeated-names.js';

/** Undefined when it is not JSON, or not clearly: of a name given twice, others may read the first one. */
export function parseJson(bytesOrText: string | Uint8Array): unknown {
  try {
    const text = typeof bytesOrText === 'string' ? bytesOrText : utf8.decode(bytesOrText);
    const value: unknown = JSON.parse(text);
    return repeatsName(text) ? undefined : value;
  } catch {
    return undefined;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
