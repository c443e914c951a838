import type { Directive, DirectiveSnapshot } from '../diagnosis/directive.js';
import { checkIfRevision } from '../shared/checks.js';
import { Listeners } from '../shared/listeners.js';
import { checkedDirectives, emptySnapshot, type StoreOptions, snapshotOf } from './snapshot.js';
import { type PublishableStore, type PublishOptions, staleError } from './store.js';

/** A set that is published in this process, for one instance. */
export class InMemoryStore implements PublishableStore {
  readonly lastError = null;
  #snapshot = emptySnapshot;
  readonly #listeners = new Listeners('a directive store');
  readonly #options: StoreOptions;

  constructor(options: StoreOptions = {}) {
    this.#options = options;
  }

  load(): DirectiveSnapshot {
    return this.#snapshot;
  }

  /** Always 0: nobody has a later set. */
  ageMs(): number {
    return 0;
  }

  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  publish(directives: readonly Directive[], { ifRevision }: PublishOptions = {}): number {
    checkIfRevision(ifRevision);
    const checked = checkedDirectives(directives, this.#options);
    const { revision } = this.#snapshot;
    if (ifRevision !== undefined && ifRevision !== revision) throw staleError(ifRevision);
    this.#snapshot = snapshotOf(revision + 1, checked);
    this.#listeners.callAll();
    return revision + 1;
  }
}
