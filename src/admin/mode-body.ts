import { fallbackWord } from '../cluster/mode-text.js';
import { AckgateError } from '../errors.js';
import type { ResolvedPolicy } from '../policy/index.js';
import { parseJson } from '../shared/parse-json.js';
import { checkPolicy } from '../stage/options.js';
import { type Answer, refusal } from './answer.js';

/** Longer than any policy; nothing longer is looked at. */
const modeCharsMax = 1000;
const form = 'the body has to be {"mode": …}, with ttlSecs or expiresAt where it has an end';

/** A mode that somebody wants. */
export interface WantedMode {
  /** Null: whatever each instance has when nothing overrides it. */
  readonly resolved: ResolvedPolicy | null;
  /** As they came; null when there is neither. */
  readonly end: { readonly ttlSecs?: unknown; readonly expiresAt?: unknown } | null;
}

/** `{"mode": …, "ttlSecs": …, "expiresAt": …}`, and nothing else. Ends are not looked at yet. */
export function readModeBody(body: Buffer): WantedMode | Answer {
  const value = parseJson(body);
  if (value === undefined) {
    return refusal(400, 'invalid_json', 'the body is not JSON in UTF-8, or repeats a name');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refusal(400, 'not_an_object', form);
  }
  const { mode, ...end } = value as { mode?: unknown; ttlSecs?: unknown; expiresAt?: unknown };
  if (Object.keys(end).some((key) => key !== 'ttlSecs' && key !== 'expiresAt')) {
    return refusal(400, 'unknown_field', form);
  }
  if (mode === undefined) return refusal(400, 'missing_mode', form);
  const wanted = { end: Object.keys(end).length === 0 ? null : end };
  if (mode === fallbackWord) return { resolved: null, ...wanted };
  try {
    if (typeof mode === 'string' && mode.length <= modeCharsMax) {
      return { resolved: checkPolicy(mode), ...wanted };
    }
  } catch (error) {
    if (!(error instanceof AckgateError)) throw error;
  }
  return refusal(400, 'bad_mode', 'mode has to be a mode, such as local, or a policy, such as persisted>=2');
}
