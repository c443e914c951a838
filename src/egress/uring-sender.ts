import { type NativeSender, nativeAddon } from './native.js';
import type { Sender, SenderOptions } from './sender.js';
import { type TableSizes, withTables } from './sender-tables.js';

/**
 * Sends through an io_uring: one kernel entry per flush, and the kernel resumes blocked peers by itself.
 *
 * The constructor throws the addon's plain error, with `errno` and `stage`; `createSender` puts it into words.
 */
export class UringSender implements Sender {
  readonly backend = 'uring';
  readonly features: readonly string[];
  readonly requests: Uint32Array;
  readonly results: Int32Array;
  readonly state: Int32Array;
  readonly #native: NativeSender;

  constructor(options: SenderOptions, sizes?: TableSizes) {
    const { UringSender: Native } = nativeAddon();
    const all = withTables(options, sizes);
    this.requests = all.requests;
    this.results = all.results;
    this.state = all.state;
    this.#native = new Native(all);
    this.features = this.#native.features;
  }

  open(slot: number, generation: number, fd: number): number {
    return this.#native.open(slot, generation, fd);
  }

  flush(count: number): number {
    return this.#native.flush(count);
  }

  reap(): number {
    return this.#native.reap();
  }

  close(slot: number, how: number): void {
    this.#native.close(slot, how);
  }

  queuedBytes(slot: number): number {
    return this.#native.queuedBytes(slot);
  }

  releasePages(slot: number): void {
    this.#native.releasePages(slot);
  }

  park(timeoutMs: number): void {
    this.#native.park(timeoutMs);
  }

  destroy(deadlineMs: number): number {
    return this.#native.destroy(deadlineMs);
  }
}
