import type { Mutant } from './catalogue.js';

const stage = 'stage/response-stage.js';
const gate = 'gate/gate.js';
const lines = 'gate/cursor-lines.js';
const releasable = `if (!this.gate.releasable(record.wireSeq, record.flags)) {`;

/** What may leave, and when: positions, cursors and modes. */
export const gateMutants: readonly Mutant[] = [
  {
    id: 'M06',
    title: 'the whole batch waits for its largest sequence',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: stage,
            find: 'const limit = Math.min(published, this.#parts.limits.recordsPerBatch); let taken = 0;',
            replace: `let limit = Math.min(published, this.#parts.limits.recordsPerBatch);
        let taken = 0;
        let largest = 0;
        for (let i = 0; i < limit; i++) largest = Math.max(largest, this.#ring.at(i).wireSeq);
        if (!this.gate.releasable(largest, 0)) {
          this.gate.hold(largest);
          limit = 0;
        }`,
          },
        ],
      },
    ],
  },
  {
    id: 'M09',
    title: 'ring positions compared with wire sequences (right only on a fresh journal)',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: stage,
            find: releasable,
            replace: 'if (!this.gate.releasable(this.#ring.position + taken + 1, record.flags)) {',
          },
        ],
      },
    ],
  },
  {
    id: 'M10',
    title: 'the gate asks for sequence + 1',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: gate,
            find: 'return wireSeq <= this.#evaluator.durablePos',
            replace: 'return wireSeq + 1 <= this.#evaluator.durablePos',
          },
        ],
      },
    ],
  },
  {
    id: 'M11',
    title: 'a replica is marked active before its cursors are seeded: the gate freezes',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            // The seeds come with the first acknowledgement.
            file: lines,
            find: `this.#store(base + At.inMemory, persisted);
        this.#store(base + At.persisted, persisted);
        Atomics.store(this.#words, base + At.active, 1);`,
            replace: 'Atomics.store(this.#words, base + At.active, 1);',
          },
        ],
      },
    ],
  },
  {
    id: 'M12',
    title:
      'disconnect leaves the cursors standing and connect raises the flag before seeding: a stale position opens the gate',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: lines,
            find: `this.#store(base + At.inMemory, 0);
        this.#store(base + At.persisted, 0);
        Atomics.store(this.#words, base + At.active, 0);`,
            replace: 'Atomics.store(this.#words, base + At.active, 0);',
          },
          {
            file: lines,
            find: `this.#store(base + At.inMemory, persisted);
        this.#store(base + At.persisted, persisted);
        Atomics.store(this.#words, base + At.active, 1);`,
            replace: `Atomics.store(this.#words, base + At.active, 1);
        this.#unlock(base);
        this.#lock(base);
        this.#store(base + At.inMemory, persisted);
        this.#store(base + At.persisted, persisted);`,
          },
        ],
      },
    ],
  },
  {
    id: 'M26',
    title: 'a corrupt mode byte silently downgrades',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: 'stage/control.js',
            find: 'this.#handlers.corruptMode(byte, text);',
            replace: "this.#handlers.setPolicy(resolvePolicy('local'));",
          },
        ],
      },
    ],
  },
  {
    id: 'M27',
    title: 'a mode change keeps the position cached under the weaker mode',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: gate,
            find: 'this.#evaluator = new PolicyEvaluator(policy.policy); this.#stale = true;',
            replace: `const { durablePos, degraded } = this.#evaluator;
        this.#evaluator = new PolicyEvaluator(policy.policy);
        this.#evaluator.durablePos = durablePos;
        this.#evaluator.degraded = degraded;`,
          },
        ],
      },
    ],
  },
  {
    id: 'M29',
    title: 'degraded time is lost during a closed gate or at a mode change',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: 'gate/degradation-logger.js',
            find: 'this.#accumulate(nowNs); if (degraded === this.#degraded) return;',
            replace: 'this.#lastTickNs = nowNs; if (degraded === this.#degraded) return;',
          },
        ],
      },
      {
        patches: [
          {
            file: stage,
            find: 'if (this.gate.evaluate()) this.#degradation.tick(',
            replace: 'if (this.gate.evaluate() && !this.gate.closed) this.#degradation.tick(',
          },
          {
            file: 'stage/duties.js',
            find: 'degradation.tick(gate.evaluator.degraded, nowNs);',
            replace: 'if (!gate.closed) degradation.tick(gate.evaluator.degraded, nowNs);',
          },
        ],
      },
    ],
  },
  {
    id: 'M34',
    title: "a replica's tail from another history counts as durable",
    part: 'TypeScript',
    forms: [
      { patches: [{ file: 'gate/cursors.js', find: 'if (persisted > issued) {', replace: 'if (false) {' }] },
    ],
  },
];
