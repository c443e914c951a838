/** What a replica makes of a primary that it hears of. */
export type Heard =
  /** The one that it follows, or has promised to. */
  | 'current'
  /** One of a later term: followed from now on. */
  | 'new'
  /** One of a term that is over: nothing of it counts any more. */
  | 'over'
  /** A second one in the same term: refused. */
  | 'second';

/** Whom a replica follows: the primary of the latest term that it has heard of, and in a term the one it heard of first. */
export class Following {
  #term: number;
  #primaryId: string | null = null;

  /** @param term highest term in the replica's own history: no earlier primary is followed any more */
  constructor(term: number) {
    this.#term = term;
  }

  /** Highest term heard of. */
  get term(): number {
    return this.#term;
  }

  /** Null: of that term it knows no primary yet. */
  get primaryId(): string | null {
    return this.#primaryId;
  }

  hear(term: number, primaryId: string): Heard {
    if (term < this.#term) return 'over';
    if (term === this.#term && this.#primaryId !== null) {
      return this.#primaryId === primaryId ? 'current' : 'second';
    }
    this.#term = term;
    this.#primaryId = primaryId;
    return 'new';
  }
}
