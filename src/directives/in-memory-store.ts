import type { Directive, DirectiveSnapshot } from '../diagnosis/directive.js';
import { checkedIfRevision } from '../shared/checks.js';
import { Listeners } from '../shared/listeners.js';
import {
  checkedDirectives,
  checkStoreOptions,
  emptySnapshot,
  type StoreOptions,
  snapshotOf,
} from './snapshot.js';
import { type PublishableStore, type PublishOptions, staleError } from './store.js';

/** A set that is published in this process, for one instance. */
export class InMemoryStore implements PublishableStore {
  /** Always null: nothing can go wrong here. */
  readonly lastError = null;
  #snapshot = emptySnapshot;
  readonly #listeners = new Listeners('a directive store');
  readonly #options: StoreOptions;

  /** Empty at first, with revision 0. @throws ERR_ACKGATE_UNKNOWN_OPTION, ERR_ACKGATE_INVALID_ARGUMENT */
  constructor(options: StoreOptions = {}) {
    checkStoreOptions(options);
    this.#options = options;
  }

  /** The set published last. */
  load(): DirectiveSnapshot {
    return this.#snapshot;
  }

  /** Always 0: nobody has a later set. */
  ageMs(): number {
    return 0;
  }

  /** `listener` is called after every `publish`. Returns a function that ends this. */
  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  /**
   * Puts this set in the place of the one in force, all at once; an empty one clears. Returns the new revision.
   *
   * @throws ERR_ACKGATE_DIRECTIVES_INVALID with the first fault as `slug`, ERR_ACKGATE_DIRECTIVES_STALE;
   *   ERR_ACKGATE_UNKNOWN_OPTION, ERR_ACKGATE_INVALID_ARGUMENT, ERR_ACKGATE_OUT_OF_RANGE for options
   */
  publish(directives: readonly Directive[], options: PublishOptions = {}): number {
    const ifRevision = checkedIfRevision(options);
    const checked = checkedDirectives(directives, this.#options);
    const { revision } = this.#snapshot;
    if (ifRevision !== undefined && ifRevision !== revision) throw staleError(ifRevision);
    this.#snapshot = snapshotOf(revision + 1, checked);
    this.#listeners.callAll();
    return revision + 1;
  }
}
