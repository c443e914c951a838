/** Entry of a client process; see `demo.ts` for what is said between the two. */
import { Load, type LoadConfig, type LoadProgress, type LoadResult } from './load.js';

export type ClientCommand = 'go' | 'stop' | 'finish';
export type ClientMessage =
  | { type: 'ready' }
  | { type: 'progress'; progress: LoadProgress }
  /** All answers are there, or were waited for long enough. */
  | { type: 'quiet'; progress: LoadProgress }
  | { type: 'result'; result: LoadResult }
  | { type: 'failed'; message: string };

const progressMs = 1000;

function tell(message: ClientMessage): void {
  process.send?.(message);
}

async function main(): Promise<void> {
  const load = new Load(JSON.parse(process.argv[2]) as LoadConfig);
  // A Ctrl-C reaches the whole group of processes; the parent ends this one in order.
  process.on('SIGINT', () => {});
  process.on('disconnect', () => process.exit(1));
  const commanded = new Promise<void>((finish) => {
    process.on('message', (command: ClientCommand) => {
      if (command === 'go') run(load).catch(fail);
      else if (command === 'stop') load.stop();
      else finish();
    });
  });
  await load.connect();
  tell({ type: 'ready' });
  await commanded;
  process.send?.({ type: 'result', result: await load.finish() } satisfies ClientMessage, () =>
    process.exit(0),
  );
}

async function run(load: Load): Promise<void> {
  const timer = setInterval(() => tell({ type: 'progress', progress: load.progress() }), progressMs);
  await load.run();
  clearInterval(timer);
  tell({ type: 'quiet', progress: load.progress() });
}

function fail(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  process.send?.({ type: 'failed', message } satisfies ClientMessage, () => process.exit(1));
}

main().catch(fail);
