/** What `npm run bench` runs, in this order, and what becomes a part of docs/BENCHMARKS.md. */
export const benches = [
  { name: 'egress', script: 'bench/50-egress.mjs' },
  { name: 'candidates', script: 'bench/52-candidates.mjs' },
  { name: 'latency', script: 'bench/72-latency.mjs' },
  { name: 'isolation', script: 'bench/62-isolation.mjs' },
  { name: 'scale', script: 'bench/75-scale.mjs' },
  { name: 'churn', script: 'bench/79-churn.mjs' },
  { name: 'micro', script: 'bench/20-micro.mjs' },
  { name: 'diagnosis', script: 'bench/22-diagnosis.mjs' },
  { name: 'engines', script: 'bench/97-engines.mjs' },
  { name: 'postgres', script: 'bench/26-postgres-clients.mjs' },
  { name: 'soak', script: 'bench/92-soak-runner.mjs' },
];

/** The case that the ratios in a sentence are about. */
export const headline = { connections: 256, frames: 4, bytes: 64 };

/** Where results are kept, what the lead writes by hand, and what is generated; from the project's folder. */
export const resultsFolder = 'bench/results';
export const triedFile = 'bench/TRIED.md';
export const pageFile = 'docs/BENCHMARKS.md';
export const chartsFolder = 'docs/benchmarks';
