import type { SoakConfig } from './config.js';
import type { FindingId } from './findings.js';

/** Why a configuration can't have a finding. */
export interface LeftOut {
  /** The field and its value, for who writes the configuration. */
  readonly by: string;
  /** For who reads the report. */
  readonly why: string;
}

/** Null: the configuration has what the finding is judged by. */
export function leftOut(
  id: FindingId,
  { footprint, burst, mix, thresholds }: Pick<SoakConfig, 'footprint' | 'burst' | 'mix' | 'thresholds'>,
): LeftOut | null {
  if (id.startsWith('footprint-') && footprint.requests === 0) {
    return { by: 'footprint.requests is 0', why: 'This scenario takes no footprint' };
  }
  if (id === 'peak-transient' && burst.requests === 0) {
    return { by: 'burst.requests is 0', why: 'This scenario has no burst' };
  }
  if (id === 'leak-second-half' && thresholds.secondHalfBytesPerHourMax === null) {
    return { by: 'thresholds.secondHalfBytesPerHourMax is null', why: 'Not judged in this scenario' };
  }
  if (id === 'degradation-slow' && mix.slow === 0) {
    return { by: 'mix.slow is 0', why: 'This scenario has no slow operations' };
  }
  return null;
}
