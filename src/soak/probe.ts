import { fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';
import { LineSplitter, type ProbeReply, type ProbeRequest, probeFdName } from './probe-wire.js';

// Loaded into the server under test by `--import`, before any of its own code. It answers the runner's questions on the
// descriptor that the environment names, and otherwise leaves the server alone: it prints nothing, throws nothing and
// does not keep the process alive. It sees the heap and the event loop of the main thread only.

const resolutionMs = 10;
const nanosecondsPerMs = 1e6;

// Now, before the server can change them.
const { memoryUsage } = process;

function begin(): void {
  const given = process.env[probeFdName];
  // What the server starts in its turn, threads as well as processes, must not take the descriptor for its own.
  delete process.env[probeFdName];
  if (given === undefined || !isMainThread) return;
  const fd = Number(given);
  if (!Number.isInteger(fd) || fd < 3 || !fstatSync(fd).isSocket()) return;

  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  delay.enable();
  const socket = new Socket({ fd, readable: true, writable: true });
  const splitter = new LineSplitter();
  socket.on('error', () => {});
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    if (!splitter.feed(text, (line) => ask(line))) socket.destroy();
  });
  socket.unref();

  function ask(line: string): void {
    // A turn of the loop, so that a delay that has just ended is in the histogram before it is read: its timer may be
    // due, but not have run.
    setImmediate(() => setImmediate(answer, line));
  }

  function answer(line: string): void {
    try {
      const { id, gc } = JSON.parse(line) as ProbeRequest;
      const reply: ProbeReply = { id, eventLoopDelayP99Ms: delayMs(), ...memory(gc === true) };
      // After the collection: the delay that this makes is not the server's.
      delay.reset();
      if (socket.writable) socket.write(`${JSON.stringify(reply)}\n`);
    } catch {
      // The runner gets no answer, and says so.
    }
  }

  /** Beyond the interval that the timer of the histogram has. */
  function delayMs(): number | null {
    if (delay.count === 0) return null;
    return Math.max(0, delay.percentile(99) / nanosecondsPerMs - resolutionMs);
  }
}

function memory(gc: boolean) {
  const before = memoryUsage();
  if (gc) collect();
  const after = gc ? memoryUsage() : null;
  return {
    heapUsedBytes: before.heapUsed,
    heapAfterGcBytes: after?.heapUsed ?? null,
    externalBytes: (after ?? before).external,
  };
}

let collector: (() => void) | null = null;

function collect(): void {
  if (collector === null) {
    setFlagsFromString('--expose-gc');
    collector = runInNewContext('gc') as () => void;
    // Contexts that the server makes are as they would be without us.
    setFlagsFromString('--no-expose-gc');
  }
  collector();
}

try {
  begin();
} catch {
  // A descriptor that is none.
}
