import type { Directive, DirectiveSnapshot, DirectiveStore } from '../diagnosis/directive.js';
import { checkedDirectives, type StoreOptions, snapshotOf } from './snapshot.js';

/** A set that never changes; its directives still end when their time is over. */
export class StaticStore implements DirectiveStore {
  readonly lastError = null;
  readonly #snapshot: DirectiveSnapshot;

  /** @throws ERR_ACKGATE_DIRECTIVES_INVALID */
  constructor(directives: readonly Directive[], options: StoreOptions = {}) {
    this.#snapshot = snapshotOf(1, checkedDirectives(directives, options));
  }

  load(): DirectiveSnapshot {
    return this.#snapshot;
  }

  /** Always 0: nobody has a later set. */
  ageMs(): number {
    return 0;
  }

  onChange(_listener: () => void): () => void {
    return () => {};
  }
}
