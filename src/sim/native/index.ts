/** The C++ half of the simulator: both senders over a kernel in memory, built and run as a program of its own. */
export { buildNativeSim, type NativeBuild } from './build.js';
export { nativeMutants, runNativeMutant } from './mutants.js';
export { runNativeSim } from './run.js';
