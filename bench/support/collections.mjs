import { PerformanceObserver } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collections = 0;
let observer = null;
let collect = null;

function prepare() {
  observer = new PerformanceObserver((list) => {
    collections += list.getEntries().length;
  });
  setFlagsFromString('--expose-gc');
  collect = runInNewContext('gc');
}

/** The garbage collections of this thread while `run` runs; what was allocated before it does not count. */
export async function countCollections(run) {
  if (observer === null) prepare();
  observer.observe({ entryTypes: ['gc'] });
  collect();
  await setTimeout(20); // the observer hears of that one
  const before = collections;
  run();
  await setTimeout(20);
  observer.disconnect();
  return collections - before;
}
