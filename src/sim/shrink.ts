import { checkKeys, integer } from '../shared/checks.js';
import { attempt, type Breakage, type ScenarioFailure } from './attempt.js';
import { type Fault, faultNames } from './faults.js';
import type { RunOptions } from './run.js';
import { plainScenario, type Scenario } from './scenario.js';
import { type ScenarioDifference, scenarioDifference } from './scenario-check.js';

/** How a scenario is made shorter. */
export interface ShrinkOptions {
  /** Most runs that may be spent, 1 or more (default 1,000). */
  readonly budget?: number;
  /** What a scenario breaks, null: nothing (default: it is run, once). */
  readonly breaks?: (scenario: Scenario) => ScenarioFailure | null;
  /** How it is run by default; `twice` and `trace` are chosen by what is looked for. */
  readonly run?: RunOptions;
}

/** What was found. */
export interface ShrunkScenario {
  /** The plainest and shortest one that was found. */
  scenario: Scenario;
  /** The same, where it differs from the plain scenario: ready to be pasted. */
  difference: ScenarioDifference;
  /** What the short scenario says about the invariant. */
  message: string;
  /** Runs that were spent, at most the `budget`. */
  runs: number;
}

const budgetDefault = 1000;
/** What is changed changes everything that is drawn; some other seeds may still show it. */
const otherSeeds = [1, 2];
const raisedSeeds = [1, 2, 3, 4, 5];
const raisedRate = 0.3;

/**
 * Makes a scenario that breaks an invariant as plain and as short as it gets while it still breaks the same one. The
 * same scenario gives the same result. Null: it does not break the invariant.
 *
 * @throws AckgateError ERR_ACKGATE_UNKNOWN_OPTION, ERR_ACKGATE_INVALID_ARGUMENT, ERR_ACKGATE_OUT_OF_RANGE for options
 */
export function shrinkScenario(
  scenario: Scenario,
  invariant: Breakage,
  options: ShrinkOptions = {},
): ShrunkScenario | null {
  checkKeys('options', options, ['budget', 'breaks', 'run']);
  const shrinker = new Shrinker(invariant, options);
  return shrinker.shrink(scenario);
}

class Shrinker {
  readonly #invariant: Breakage;
  readonly #breaks: NonNullable<ShrinkOptions['breaks']>;
  #budget: number;
  #runs = 0;
  #best: Scenario = plainScenario(0);
  #message = '';

  constructor(invariant: Breakage, { budget = budgetDefault, breaks, run }: ShrinkOptions) {
    this.#invariant = invariant;
    this.#budget = integer('budget', budget, 1, Number.MAX_SAFE_INTEGER);
    // Once is enough, but for the second run itself.
    const runOptions = { ...run, twice: invariant === 'I12', trace: false };
    this.#breaks = breaks ?? ((scenario) => attempt(scenario, runOptions).failure);
  }

  shrink(scenario: Scenario): ShrunkScenario | null {
    if (!this.#try(scenario)) return null;
    // The greatest steps first: they make all others cheap.
    for (let before = ''; before !== JSON.stringify(this.#best) && this.#budget > 0; ) {
      before = JSON.stringify(this.#best);
      this.#dropFaults();
      this.#makePlain();
      this.#dropNodes();
      this.#makeShort();
    }
    this.#makeRound();
    const difference = scenarioDifference(this.#best);
    return { scenario: this.#best, difference, message: this.#message, runs: this.#runs };
  }

  /** Takes it when it fails in the same way. */
  #try(scenario: Scenario): boolean {
    if (this.#budget <= 0) return false;
    this.#budget--;
    this.#runs++;
    const failure = this.#breaks(scenario);
    if (failure?.invariant !== this.#invariant) return false;
    // Anything can throw: only the same words are the same crash.
    if (failure.invariant === 'crash' && this.#runs > 1 && words(failure.message) !== words(this.#message)) {
      return false;
    }
    this.#best = scenario;
    this.#message = failure.message;
    return true;
  }

  /** The best one with something changed; also with other seeds. */
  #change(change: Partial<Scenario>): boolean {
    const changed = { ...this.#best, ...change };
    if (JSON.stringify(changed) === JSON.stringify(this.#best)) return false;
    return [this.#best.seed, ...otherSeeds].some((seed) => this.#try({ ...changed, seed }));
  }

  #dropFaults(): void {
    if (this.#faults.length === 0 || this.#change({ faults: {} })) return;
    // Halves, then smaller parts, then each alone.
    for (
      let size = Math.ceil(this.#faults.length / 2);
      size >= 1;
      size = size === 1 ? 0 : Math.ceil(size / 2)
    ) {
      for (let at = 0; at < this.#faults.length; ) {
        const left = this.#faults.filter((_, index) => index < at || index >= at + size);
        if (!this.#keepFaults(left)) at += size;
      }
    }
  }

  get #faults(): Fault[] {
    return faultNames.filter((name) => this.#best.faults[name] !== undefined);
  }

  /** Only these faults: as often as before, or more often with other luck, as less goes wrong by chance then. */
  #keepFaults(names: readonly Fault[]): boolean {
    const rates = (least: number) =>
      Object.fromEntries(names.map((name) => [name, Math.max(least, this.#best.faults[name] ?? 0)]));
    if (this.#try({ ...this.#best, faults: rates(0) })) return true;
    return raisedSeeds.some((seed) => this.#try({ ...this.#best, seed, faults: rates(raisedRate) }));
  }

  /** Everything as in the plain scenario, else each field that can be. */
  #makePlain(): void {
    const { seed, nodes, policy, faults } = this.#best;
    const plain = plainScenario(seed);
    if (this.#change({ ...plain, nodes, policy, faults })) return;
    for (const name of Object.keys(plain) as (keyof Scenario)[]) {
      if (name === 'seed' || name === 'faults' || this.#budget <= 0) continue;
      this.#change(this.#plainField(name, plain));
    }
  }

  /** Fields that say something together go together. */
  #plainField(name: keyof Scenario, plain: Scenario): Partial<Scenario> {
    if (name === 'slots' || name === 'clients') {
      const clients = name === 'slots' ? Math.min(this.#best.clients, plain.slots) : plain.clients;
      return { clients, slots: Math.max(clients, name === 'slots' ? plain.slots : this.#best.slots) };
    }
    if (name === 'maxPayload' || name === 'payload')
      return { maxPayload: plain.maxPayload, payload: plain.payload };
    return { [name]: plain[name] };
  }

  #dropNodes(): void {
    if (this.#best.nodes.length > 0 && this.#change({ nodes: [] })) return;
    for (let at = this.#best.nodes.length - 1; at >= 0; at--) {
      this.#change({ nodes: this.#best.nodes.filter((_, index) => index !== at) });
    }
    for (let at = 0; at < this.#best.nodes.length; at++) {
      const plain = { zone: null, networkNs: 50_000, syncNs: 50_000, ackDelayNs: 0, frames: false };
      for (const [name, value] of Object.entries(plain)) {
        const nodes = this.#best.nodes.map((node, index) =>
          index === at ? { ...node, [name]: value } : node,
        );
        this.#change({ nodes });
      }
    }
  }

  /** Numbers that nobody has drawn are easier to read. */
  #makeRound(): void {
    for (const [name, value] of Object.entries(scenarioDifference(this.#best))) {
      if (typeof value !== 'number' || value < 100 || name === 'ringCapacity' || name === 'seed') continue;
      const unit = 10 ** Math.floor(Math.log10(value));
      this.#change({ [name]: Math.round(value / unit) * unit });
    }
    for (const fault of this.#faults) {
      if (this.#best.faults[fault] === raisedRate) continue;
      this.#change({ faults: { ...this.#best.faults, [fault]: raisedRate } });
    }
  }

  /** As few as possible of everything that there can be less of. */
  #makeShort(): void {
    this.#lower('orders', 1, (orders) => ({ orders }));
    this.#lower('troubleNs', 1e6, (troubleNs) => ({ troubleNs }));
    this.#lower('fanOut', 1, (fanOut) => ({ fanOut }));
    this.#lower('clients', 1, (clients) => ({
      clients,
      slots: Math.max(clients, Math.min(this.#best.slots, 4)),
    }));
    this.#lower('slots', this.#best.clients, (slots) => ({ slots }));
  }

  /** Halves the distance to the least value as long as that goes on failing. */
  #lower(
    name: 'orders' | 'troubleNs' | 'fanOut' | 'clients' | 'slots',
    least: number,
    change: (value: number) => Partial<Scenario>,
  ): void {
    let low = least;
    if (this.#best[name] <= low || this.#change(change(low))) return;
    // Not below what is written in two digits: a scenario is read by people.
    while (this.#budget > 0 && this.#best[name] - low > Math.max(0.5, this.#best[name] / 20)) {
      const middle = Math.round((low + this.#best[name]) / 2);
      if (middle >= this.#best[name]) return;
      if (!this.#change(change(middle))) low = middle;
    }
  }
}

/** The first line, whatever its numbers. */
function words(message: string): string {
  return message.split('\n', 1)[0].replace(/\d+/g, '#');
}
