import type { NativeAddon, NativeSender } from './native.js';
import { nativeAddon } from './native.js';
import type { Backend, Sender, SenderOptions } from './sender.js';
import { type TableSizes, withTables } from './sender-tables.js';

/** The TypeScript side of both senders of the addon: makes the tables, and passes every call on. */
export abstract class NativeBackedSender implements Sender {
  abstract readonly backend: Backend;
  readonly features: readonly string[];
  readonly requests: Uint32Array;
  readonly results: Int32Array;
  readonly state: Int32Array;
  readonly #native: NativeSender;

  constructor(name: 'UringSender' | 'PosixSender', options: SenderOptions, sizes?: TableSizes) {
    const Native: NativeAddon[typeof name] = nativeAddon()[name];
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
