/** Percentiles in microseconds of latencies in nanoseconds. */
export function percentilesUs(latenciesNs) {
  const sorted = Float64Array.from(latenciesNs).sort();
  const at = (share) => {
    const ns = sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
    return Math.round(ns / 10) / 100;
  };
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999) };
}
