import type { Directive, DirectiveSnapshot, DirectiveStore } from '../diagnosis/directive.js';
import { checkedDirectives, checkStoreOptions, type StoreOptions, snapshotOf } from './snapshot.js';

/** A set that never changes; its directives still end when their time is over. */
export class StaticStore implements DirectiveStore {
  /** Always null: nothing can go wrong here. */
  readonly lastError = null;
  readonly #snapshot: DirectiveSnapshot;

  /** @throws ERR_ACKGATE_DIRECTIVES_INVALID; ERR_ACKGATE_UNKNOWN_OPTION, ERR_ACKGATE_INVALID_ARGUMENT for options */
  constructor(directives: readonly Directive[], options: StoreOptions = {}) {
    checkStoreOptions(options);
    this.#snapshot = snapshotOf(1, checkedDirectives(directives, options));
  }

  /** The set given, with revision 1. */
  load(): DirectiveSnapshot {
    return this.#snapshot;
  }

  /** Always 0: nobody has a later set. */
  ageMs(): number {
    return 0;
  }

  /** Never calls: nothing changes. */
  onChange(_listener: () => void): () => void {
    return () => {};
  }
}
