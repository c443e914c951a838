import { type ChildProcess, fork, type Serializable } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/**
 * Short garbage collections instead of rare ones: with the default size of the young generation one takes several
 * milliseconds, and every order that arrives meanwhile waits for it.
 */
const execArgv = ['--max-semi-space-size=1'];
/** How long a process may take to end by itself once it was told to, in milliseconds. */
const endMs = 15_000;

/** A child process that sends messages of type `M` and is sent messages of type `C`. */
export class Child<M extends { type: string }, C extends Serializable> {
  readonly #process: ChildProcess;
  readonly #name: string;
  /** Rejects when the process ends; never resolves. */
  readonly #ended: Promise<never>;
  #failure: string | null = null;

  /**
   * @param file name of the module to run, next to this one
   * @param env what its environment has besides this process's own
   */
  constructor(name: string, file: string, config: object, env: NodeJS.ProcessEnv = {}) {
    this.#name = name;
    const path = fileURLToPath(new URL(file, import.meta.url));
    // Standard output stays the parent's own.
    const stdio = ['ignore', 2, 2, 'ipc'] as const;
    this.#process = fork(path, [JSON.stringify(config)], {
      stdio: [...stdio],
      execArgv,
      env: { ...process.env, ...env },
    });
    this.#process.on('message', (message: { type: string; message?: string }) => {
      if (message.type === 'failed') this.#failure = message.message ?? '';
    });
    this.#ended = once(this.#process, 'exit').then(([code, signal]) => {
      const how = signal === null ? `with code ${code}` : `by ${signal}`;
      throw new Error(this.#failure ?? `${this.#name} ended ${how}`);
    });
    // Whoever waits for something hears of it; nobody waiting is no reason to end this process.
    this.#ended.catch(() => {});
  }

  get exitCode(): number | null {
    return this.#process.exitCode;
  }

  tell(command: C): void {
    if (this.#process.connected) this.#process.send(command);
  }

  /** Returns a function that ends the listening. */
  on<T extends M['type']>(type: T, listener: (message: Extract<M, { type: T }>) => void): () => void {
    const filter = (message: M) => {
      if (message.type === type) listener(message as Extract<M, { type: T }>);
    };
    this.#process.on('message', filter);
    return () => this.#process.off('message', filter);
  }

  /** The next message of a type. Rejects when the process ends before. */
  async next<T extends M['type']>(type: T): Promise<Extract<M, { type: T }>> {
    let off = () => {};
    const message = new Promise<Extract<M, { type: T }>>((resolve) => {
      off = this.on(type, resolve);
    });
    try {
      return await Promise.race([message, this.#ended]);
    } finally {
      off();
    }
  }

  /** Waits for the process to end, and ends it by force when that takes too long. */
  async exited(): Promise<void> {
    const timer = setTimeout(() => this.kill(), endMs);
    await this.#ended.catch(() => {});
    clearTimeout(timer);
  }

  kill(): void {
    if (this.#process.exitCode === null && this.#process.signalCode === null) this.#process.kill('SIGKILL');
  }
}
