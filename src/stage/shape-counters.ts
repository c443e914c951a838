import { RecordFlag } from '../ring/layout.js';
import { powerOfFour } from '../shared/power-of-four.js';

/** Upper bounds of the size classes are powers of four from 64 on; the last class has none. */
const sizeClasses = 5;

/** How many records were looked at with level `shape` or above, how large, and what became of them. */
export class ShapeCounters {
  records = 0;
  /** Of bodies, which those that were discarded, or that the encoder failed on, have none. */
  bytes = 0;
  held = 0;
  bypassed = 0;
  discarded = 0;
  /** Records by bytes of body: up to 64, 256, 1024, 4096, and more. */
  readonly sizes = new Float64Array(sizeClasses);

  /** `bodyBytes` is -1 when there is no body. */
  count(flags: number, wasHeld: boolean, wasDiscarded: boolean, bodyBytes: number): void {
    this.records++;
    if (wasHeld) this.held++;
    if (wasDiscarded) this.discarded++;
    if ((flags & RecordFlag.durabilityBypass) !== 0) this.bypassed++;
    if (bodyBytes < 0) return;
    this.bytes += bodyBytes;
    this.sizes[sizeClass(bodyBytes)]++;
  }
}

function sizeClass(bytes: number): number {
  return Math.min(sizeClasses - 1, Math.max(0, powerOfFour(bytes) - 3));
}
