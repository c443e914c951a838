import type { FailureRate } from './degraded-run.js';
import type { LossFigures, PolicyResult } from './index.js';

const number = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });
const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

/** Nanoseconds in the unit that leaves one to three digits before the point. */
export function duration(ns: number): string {
  if (ns < 1000) return `${whole.format(ns)} ns`;
  if (ns < 999_500) return `${number.format(ns / 1000)} µs`;
  if (ns < 999_500_000) return `${number.format(ns / 1e6)} ms`;
  return `${number.format(ns / 1e9)} s`;
}

export function count(value: number): string {
  return whole.format(value);
}

export function percent(share: number): string {
  if (share === 0) return '0 %';
  if (share === 1) return '100 %';
  if (share < 1e-6) return '< 0.0001 %';
  if (share > 0.9995) return '> 99.9 %';
  return `${number.format(share * 100)} %`;
}

/** A share of the time as what it comes to in a year. */
export function perYear(share: number): string {
  const seconds = share * 365.25 * 86_400;
  if (share === 0) return 'never';
  if (share === 1) return 'always';
  if (seconds < 1) return '< 1 s';
  if (seconds < 120) return `${number.format(seconds)} s`;
  if (seconds < 7200) return `${number.format(seconds / 60)} min`;
  if (seconds < 172_800) return `${number.format(seconds / 3600)} h`;
  return `${number.format(seconds / 86_400)} d`;
}

export function rateText({ mtbfHours, mttrMinutes }: FailureRate): string {
  const often = mtbfHours % 24 === 0 ? `${count(mtbfHours / 24)} d` : `${number.format(mtbfHours)} h`;
  return `every ${often} for ${number.format(mttrMinutes)} min`;
}

/** What a failure loses under a policy; `isMet`: the cluster can meet it at all. */
export function lossText(loss: LossFigures, isMet: boolean): string {
  if (!isMet) return '–';
  if (!loss.mayLose) return 'nothing';
  if (loss.withLoss === 0) return loss.moments === 0 ? 'may lose' : `none seen in ${count(loss.moments)}`;
  if (loss.ordersMean > loss.moments && loss.withLoss > 0.98 * loss.moments) return 'everything';
  return `up to ${count(loss.ordersMax)} orders`;
}

/** The name that was asked for, and what it stands for. */
export function title({ name, policy }: PolicyResult): string {
  return name === policy ? name : `${name} (${policy})`;
}
