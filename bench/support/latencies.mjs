import { readFileSync } from 'node:fs';
import { build } from 'hdr-histogram-js';

/** The latencies that a C program has dumped, in nanoseconds. */
export function readSamples(path) {
  const { buffer, byteOffset, length } = readFileSync(path);
  return new Uint32Array(buffer.slice(byteOffset, byteOffset + length));
}

/** A histogram of nanoseconds with three significant digits. */
export function createHistogram() {
  return build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 2 ** 32,
    numberOfSignificantValueDigits: 3,
    bitBucketSize: 64,
  });
}

/** The middle of the samples themselves, to the nanosecond. */
export function medianOf(samples) {
  return Uint32Array.from(samples).sort()[samples.length >> 1];
}

/** Percentiles in microseconds. */
export function microseconds(histogram) {
  const us = (percentile) => Math.round(histogram.getValueAtPercentile(percentile) / 10) / 100;
  return {
    p50: us(50),
    p90: us(90),
    p99: us(99),
    p999: us(99.9),
    p9999: us(99.99),
    max: Math.round(histogram.maxValue / 10) / 100,
  };
}
