import { CompiledDirectives, kindNumber, Traffic, TrafficAt } from '../diagnosis/compiled-directives.js';
import type { DirectiveSnapshot } from '../diagnosis/directive.js';
import { type DiagnosisLevel, diagnosisLevels } from '../diagnosis/levels.js';
import { tenantKey } from '../diagnosis/sampling.js';
import { argument, checkKeys } from '../shared/checks.js';
import { directivesError } from './fault.js';
import { checkKinds, checkList, type Kinds } from './shape.js';

/** What is known about a piece of traffic. What is left out is unknown, and no directive for it matches. */
export interface TrafficSlice {
  /** Whose it is. */
  readonly tenant?: string | undefined;
  /** Its connection id. */
  readonly connection?: number | undefined;
  /** Name of its kind of record. */
  readonly kind?: string | undefined;
  /** Id of the request, a text or 1 … 2^53-1. Without it (or 0) only directives that take every request match. */
  readonly requestId?: string | number | undefined;
}

/** What a `DirectiveEvaluator` goes by besides the directives. */
export interface DirectiveEvaluatorOptions {
  /**
   * The application's names for its kinds of record (default none: they are called by their numbers, `"0"` to
   * `"65535"`). A directive for another name matches nothing.
   */
  readonly kinds?: Kinds;
  /** The level below which nothing falls (default `off`). */
  readonly baseline?: DiagnosisLevel;
}

/**
 * Tells how closely the application's own code should look, by the same directives that the stage goes by. Per batch:
 * `use(store.load())`, then `levelOf` for each piece of traffic, which allocates nothing.
 */
export class DirectiveEvaluator {
  readonly #compiled = new CompiledDirectives();
  readonly #kinds: Kinds;
  readonly #baseline: DiagnosisLevel;
  /** The names that directives ask for; every other tenant or kind is nobody's. */
  readonly #tenants = new Map<string, number>();
  readonly #kindNumbers = new Map<string, number>();
  readonly #traffic = new Traffic();
  #snapshot: DirectiveSnapshot = { revision: 0, directives: [] };

  /** @throws ERR_ACKGATE_INVALID_ARGUMENT, ERR_ACKGATE_UNKNOWN_OPTION, ERR_ACKGATE_OUT_OF_RANGE */
  constructor(options: DirectiveEvaluatorOptions = {}) {
    checkKeys('evaluator options', options, ['kinds', 'baseline']);
    const { kinds = {}, baseline = 'off' } = options;
    checkKinds(kinds);
    if (!diagnosisLevels.includes(baseline)) {
      throw argument('baseline', `one of ${diagnosisLevels.join(', ')}`);
    }
    this.#kinds = { ...kinds };
    this.#baseline = baseline;
    this.#compile();
  }

  /** The set that `levelOf` goes by from now on. Costs nothing when it is the same one as before. */
  use(snapshot: DirectiveSnapshot): void {
    if (snapshot === this.#snapshot) return;
    const rules = { nowMs: Number.POSITIVE_INFINITY, kinds: undefined, times: 'kept' } as const;
    const checked = checkList(snapshot.directives, rules);
    if ('slug' in checked) throw directivesError(checked);
    this.#snapshot = snapshot;
    this.#compile();
  }

  /** The highest level of the directives that apply at `nowMs` (unix milliseconds), at least the baseline. */
  levelOf(slice: TrafficSlice, nowMs: number): DiagnosisLevel {
    const { tenant, connection, kind, requestId } = slice;
    const traffic = this.#traffic;
    const { numbers } = traffic;
    numbers[TrafficAt.tenant] = tenant === undefined ? 0 : (this.#tenants.get(tenant) ?? 0);
    numbers[TrafficAt.connection] = connection ?? 0;
    numbers[TrafficAt.kind] = kind === undefined ? -1 : (this.#kindNumbers.get(kind) ?? -1);
    const isText = typeof requestId === 'string';
    numbers[TrafficAt.requestId] = isText ? 0 : (requestId ?? 0);
    traffic.requestText = isText ? requestId : null;
    numbers[TrafficAt.nowMs] = nowMs;
    return diagnosisLevels[this.#compiled.levelOf(traffic)];
  }

  #compile(): void {
    this.#compiled.use(this.#snapshot, this.#kinds, this.#baseline);
    this.#tenants.clear();
    this.#kindNumbers.clear();
    for (const { tenant, kind } of this.#snapshot.directives) {
      if (tenant !== undefined) this.#tenants.set(tenant, tenantKey(tenant));
      if (kind === undefined) continue;
      const number = kindNumber(this.#kinds, kind);
      if (number >= 0) this.#kindNumbers.set(kind, number);
    }
  }
}
