import { isSpread, relativeSpread } from './format.mjs';

/** Quartiles further apart than this share of the median are worth a line. */
export const noisyFrom = 0.1;

/** How the parts of a result are told apart, and in which words. */
const words = {
  connections: (value) => `connections ${value}`,
  frames: (value) => `frames ${value}`,
  bytes: (value) => `${value} B`,
  order: String,
  variant: String,
  idle: String,
  load: (value) => `load ${value}`,
  sickness: String,
  name: String,
};

const figureWords = { cpuNs: 'CPU', perSecond: 'rate', ratios: 'ratio', p99Ratio: 'p99 with ÷ without' };

function describe(part) {
  return Object.entries(words)
    .filter(([key]) => ['string', 'number'].includes(typeof part[key]))
    .map(([key, word]) => word(part[key]))
    .join(', ');
}

function* walk(part, place, path) {
  if (part === null || typeof part !== 'object') return;
  const here = Array.isArray(part) ? '' : describe(part);
  const where = here === '' ? place : here;
  if (isSpread(part))
    yield {
      place: where || 'all of it',
      figure: path.map((key) => figureWords[key] ?? key).join(' '),
      spread: relativeSpread(part),
    };
  for (const [key, value] of Object.entries(part)) {
    const isStep = !Array.isArray(part) && key !== 'cases' && key !== 'variants' && key !== 'ratioSpreads';
    yield* walk(value, where, isStep && !Array.isArray(value) ? [...path, key] : path);
  }
}

/** All medians with quartiles of a result: `{ place, figure, spread }`, the spread null where the median is 0. */
export const spreadsOf = (result) => [...walk(result, '', [])];

/** Of one result: how many figures there are, and those with more than 10 % between the quartiles, by their place. */
export function noiseOf(result) {
  const all = spreadsOf(result);
  const noisy = all.filter(({ spread }) => spread !== null && spread > noisyFrom);
  const places = new Map();
  for (const { place, figure, spread } of noisy) {
    if (!places.has(place)) places.set(place, []);
    places.get(place).push({ figure, spread });
  }
  return { figures: all.length, noisy: noisy.length, places };
}
