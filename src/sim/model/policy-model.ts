/**
 * The durability policy once more, as plainly as it can be said: text, arrays and sorts. It shares no code with what
 * it checks.
 */
export interface ModelNode {
  zone: string | null;
  connected: boolean;
  inMemory: number;
  persisted: number;
  /** From when on it may be out of the view because it says nothing, and from when on it is. */
  fadesNs: number;
  goneNs: number;
}

export interface ModelVerdict {
  durable: number;
  degraded: boolean;
}

const modeTexts: Record<string, string> = {
  local: 'persisted>=1',
  hybrid: 'persisted>=1&&in_memory>=2',
  'durably-replicated': 'persisted>=2',
  replicated: 'in_memory>=2',
};

export class PolicyModel {
  readonly text: string;
  readonly #clauses: readonly { inMemory: boolean; count: number; zones: boolean }[];

  constructor(policy: string) {
    this.text = policy;
    this.#clauses = (modeTexts[policy] ?? policy).split('&&').map((clause) => {
      const [level, rest] = clause.split('>=');
      return {
        inMemory: level.trim() === 'in_memory',
        count: Number.parseInt(rest, 10),
        zones: rest.includes('zones'),
      };
    });
  }

  /** `nodes[0]` is the primary. Those that fade by `fadedNs` don't count. */
  evaluate(nodes: readonly ModelNode[], fadedNs = Number.NEGATIVE_INFINITY): ModelVerdict {
    let durable = Number.POSITIVE_INFINITY;
    let degraded = false;
    for (const { inMemory, count, zones } of this.#clauses) {
      const reached: number[] = [];
      const byZone = new Map<string, number>();
      nodes.forEach((node, index) => {
        if (!node.connected || node.fadesNs <= fadedNs) return;
        let cursor = node.persisted;
        if (inMemory) cursor = index === 0 ? Number.POSITIVE_INFINITY : Math.max(cursor, node.inMemory);
        if (!zones || node.zone === null) reached.push(cursor);
        else byZone.set(node.zone, Math.max(byZone.get(node.zone) ?? 0, cursor));
      });
      reached.push(...byZone.values());
      reached.sort((a, b) => (a < b ? 1 : a > b ? -1 : 0));
      if (reached.length < count) degraded = true;
      else durable = Math.min(durable, reached[count - 1]);
    }
    return degraded ? { durable: 0, degraded } : { durable, degraded };
  }
}
