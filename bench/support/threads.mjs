import { readdirSync, readFileSync } from 'node:fs';

const tasks = '/proc/self/task';

/** Ids of this process's threads. */
export function threadIds() {
  return readdirSync(tasks);
}

/** Nanoseconds of CPU that a thread has used. True to the nanosecond while it sleeps, else as of the last tick. */
export function threadCpuNs(id) {
  return Number(readFileSync(`${tasks}/${id}/schedstat`, 'utf8').split(' ', 1)[0]);
}

/** Of the threads that came since `before` was noted, the one that has worked most: a Worker, not one of its helpers. */
export function threadSince(before) {
  const came = threadIds().filter((id) => !before.includes(id));
  return came.reduce((most, id) => (threadCpuNs(id) > threadCpuNs(most) ? id : most));
}
