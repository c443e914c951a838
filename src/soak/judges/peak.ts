import type { Finding } from '../findings.js';
import { bytes, bytesBeside, count } from '../format.js';
import type { PeakRecord } from '../run-record.js';
import type { Thresholds } from '../thresholds.js';
import { fail, finding, inconclusive, type Judgement, pass } from './judgement.js';
import { isCount, readingProblem } from './readings.js';

/** Fewer readings in a burst can miss its peak altogether. */
const readingsMin = 10;

function judgement(peak: PeakRecord | null, { peakBytesMax }: Thresholds): Judgement {
  if (peak === null) return inconclusive('There was no burst');
  const { idleRssBytes, peakRssBytes, readings } = peak;
  const problem =
    readingProblem('RSS before the burst', idleRssBytes) ?? readingProblem('RSS in the burst', peakRssBytes);
  if (problem !== null) return inconclusive(problem);
  const riseBytes = peakRssBytes! - idleRssBytes!;
  const measured = { riseBytes, idleRssBytes, peakRssBytes, readings };
  if (!isCount(readings) || readings < readingsMin) {
    return inconclusive(
      `RSS was read ${count(readings)} times in the burst; at least ${readingsMin} say something`,
      measured,
    );
  }
  const detail =
    `RSS rises by ${bytesBeside(riseBytes, peakBytesMax)} in the burst, from ${bytes(idleRssBytes)} ` +
    `(${count(readings)} readings); at most ${bytes(peakBytesMax)}`;
  return riseBytes <= peakBytesMax ? pass(detail, measured) : fail(detail, measured);
}

/** How far resident memory rises in a burst. */
export const judgePeak = (peak: PeakRecord | null, thresholds: Thresholds): Finding =>
  finding('peak-transient', judgement(peak, thresholds), thresholds, ['peakBytesMax']);
