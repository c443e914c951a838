import type { Mutant } from './catalogue.js';
import type { Patch } from './patch.js';

const stage = 'stage/response-stage.js';

/** Neither the cadence nor a full buffer makes the stage flush. */
const noFlushWithin: readonly Patch[] = [
  { file: stage, find: 'if (this.#cadence.due(now)) {', replace: 'if (false) {' },
  {
    file: 'egress/egress.js',
    find: 'const flushes = this.dirty.has(slot);',
    replace: 'const flushes = false;',
  },
];

/** The order of a round, its batches, and the bookkeeping around it. */
export const stageMutants: readonly Mutant[] = [
  {
    id: 'M03',
    title: 'flush only when the ring is empty: under steady load healthy clients overflow and are dropped',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          ...noFlushWithin,
          {
            file: stage,
            find: 'work += this.#flush(nowNs);',
            replace: 'if (this.#ring.available() === 0) work += this.#flush(nowNs);',
          },
        ],
      },
    ],
  },
  {
    id: 'M04',
    title: 'flush only at the end of a batch: one batch of large frames overflows a healthy client',
    part: 'TypeScript',
    forms: [{ patches: noFlushWithin }],
  },
  {
    id: 'M05',
    title: "released bytes stay in the buffer while the stage waits for a later record's gate",
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: stage,
            find: 'work += this.#flush(nowNs);',
            replace: 'if (!this.gate.closed) work += this.#flush(nowNs);',
          },
        ],
      },
    ],
  },
  {
    id: 'M07',
    title: 'shutdown is not seen while the gate is closed',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: stage,
            find: 'if (this.#drainDeadlineNs !== Number.POSITIVE_INFINITY) work +=',
            replace: 'if (this.#drainDeadlineNs !== Number.POSITIVE_INFINITY && !this.gate.closed) work +=',
          },
        ],
      },
    ],
  },
  {
    id: 'M08',
    title: 'control messages, mode changes or heartbeats stop while the gate is closed',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: stage,
            find: 'const taken = this.#control.take();',
            replace: 'const taken = this.gate.closed ? 0 : this.#control.take();',
          },
        ],
      },
      {
        patches: [
          {
            file: stage,
            find: 'work += this.#duties.run(nowNs);',
            replace: 'if (!this.gate.closed) work += this.#duties.run(nowNs);',
          },
        ],
      },
    ],
  },
  {
    id: 'M20',
    title: "a drop closes only the stage's own dup: the socket and its permit leak",
    part: 'TypeScript',
    forms: [
      {
        patches: [{ file: 'stage/connections.js', find: 'else socket.destroy();', replace: 'else return;' }],
      },
    ],
  },
  {
    id: 'M22',
    title: 'two threads write to one socket: a busy notice lands inside a half-sent frame',
    part: 'TypeScript',
    forms: [{ patches: [], options: { writesBeside: true } }],
  },
  {
    id: 'M25',
    title: 'an encoder failure swallows the end-of-batch frame',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: 'stage/responder.js',
            find: ': tail === null || egress.appendBytes(slot, tail, nowNs);',
            replace: ': true;',
          },
        ],
      },
    ],
  },
  {
    id: 'M32',
    title: 'ring slots are handed back before their bytes were copied out',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: stage,
            find: 'for (let now = nowNs; taken < limit; taken++) { const record = this.#ring.at(taken);',
            replace: `let ready = 0;
        for (; ready < limit; ready++) {
            const { wireSeq, flags } = this.#ring.at(ready);
            if (!this.gate.releasable(wireSeq, flags)) break;
        }
        if (ready > 0) this.#ring.release(ready);
        for (let now = nowNs; taken < limit; taken++) {
            const record = this.#ring.at(taken - ready);
            if (taken === ready) {
                this.gate.hold(record.wireSeq);
                break;
            }`,
          },
          {
            file: stage,
            find: 'if (!this.gate.releasable(record.wireSeq, record.flags)) { this.gate.hold(record.wireSeq); break; }',
            replace: '',
          },
          {
            file: stage,
            find: 'this.#isTooLate(record.connectionId, taken)',
            replace: 'this.#isTooLate(record.connectionId, taken - ready)',
          },
          { file: stage, find: 'this.#ring.release(taken);', replace: '' },
        ],
      },
    ],
  },
  {
    id: 'M33',
    title: 'a record is taken before the attach that was sent before it: its answer is thrown away',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: stage,
            find: `const published = this.#ring.available();
            let work = this.#takeControl();
            work += this.egress.reap(nowNs);`,
            replace: `let work = this.#takeControl();
            work += this.egress.reap(nowNs);
            const published = this.#ring.available();`,
          },
        ],
      },
    ],
  },
  {
    id: 'M35',
    title: "a connection that is to end waits for other connections' records, or not for the last of its own",
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: 'stage/connection-commands.js',
            find: 'const drainedAt = lastRecords.drainedAt(slot, position);',
            replace: 'const drainedAt = position;',
          },
        ],
      },
      {
        patches: [
          {
            file: 'stage/last-records.js',
            find: 'if (slot >= 0) this.#upTo[slot] = at + 1;',
            replace: 'if (slot >= 0) this.#upTo[slot] = at;',
          },
        ],
      },
    ],
  },
];
