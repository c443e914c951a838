import type { Mutant } from './catalogue.js';
import type { Patch } from './patch.js';

const egress = 'egress/egress.js';
const heartbeats = 'stage/heartbeats.js';
const flushes = 'return this.#take(this.#sender.flush(count), nowNs);';

/** A heartbeat goes out whatever its peer owes. */
const heartbeatAlways: Patch = {
  file: heartbeats,
  find: 'if (!egress.isClear(slot) || egress.buffers.used[slot] > 0) {',
  replace: 'if (false) {',
};

/** What goes to the kernel, and what its answers mean. */
export const egressMutants: readonly Mutant[] = [
  {
    id: 'M01',
    title: 'the flush waits for every completion: one peer with a closed window stops everybody',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: egress,
            find: flushes,
            replace: `let taken = this.#take(this.#sender.flush(count), nowNs);
        while (this.waiting.size > 0) taken += this.#take(this.#sender.reap(), nowNs);
        return taken;`,
          },
        ],
      },
    ],
  },
  {
    id: 'M02',
    title: 'a short send is retried in a blocking loop',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: egress,
            find: flushes,
            replace: `let taken = this.#take(this.#sender.flush(count), nowNs);
        while (this.dirty.size > 0) {
          const rest = this.#prepare(nowNs);
          taken += this.#take(this.#sender.flush(rest), nowNs);
        }
        return taken;`,
          },
          {
            file: egress,
            find: 'else if (value === 0 || value === -EAGAIN) {',
            replace: `else if (value === 0 || value === -EAGAIN) {
            this.dirty.add(slot);
        }
        else if (value === 1) {`,
          },
        ],
      },
    ],
  },
  {
    id: 'M15',
    title: 'a result of 0 restarts the blocked clock',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: egress,
            find: 'if (value > 0) this.#progress(slot, value, asked, nowNs);',
            replace: 'if (value >= 0) this.#progress(slot, value, asked, nowNs);',
          },
        ],
      },
    ],
  },
  {
    id: 'M16',
    title: 'after a short send the rest is lost, or the whole buffer is sent again',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: egress,
            find: 'this.buffers.sent(slot, value);',
            replace: 'this.buffers.sent(slot, asked);',
          },
        ],
      },
      {
        patches: [
          {
            file: egress,
            find: 'this.buffers.sent(slot, value);',
            replace: 'if (value === asked) this.buffers.sent(slot, value);',
          },
        ],
      },
    ],
  },
  {
    id: 'M17',
    title:
      'the blocked clock runs from the first refusal instead of the last progress: slow but living clients are dropped',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: egress,
            find: 'this.lastProgressNs[slot] = nowNs; this.#stuck[slot] = 0; if (this.buffers.used[slot] === 0)',
            replace: `if (this.buffers.used[slot] === 0) this.#stuck[slot] = 0;
        if (this.buffers.used[slot] === 0)`,
          },
          {
            file: egress,
            find: 'this.#stuck[slot] = 1;',
            replace: `if (this.#stuck[slot] === 0) this.lastProgressNs[slot] = nowNs;
            this.#stuck[slot] = 1;`,
          },
        ],
      },
    ],
  },
  {
    id: 'M18',
    title: 'heartbeats are appended past the cap: a trickling reader grows without bound',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          heartbeatAlways,
          {
            file: heartbeats,
            find: 'else if (egress.appendBytes(slot, this.#frame, nowNs)) {',
            replace: 'else if (egress.appendUnchecked(slot, this.#frame, nowNs)) {',
          },
          {
            file: egress,
            find: 'isClear(slot) {',
            replace: `appendUnchecked(slot, bytes, nowNs) {
        this.buffers.appendBytes(slot, bytes);
        this.#appended(slot, bytes.length, nowNs);
        return true;
    }
    isClear(slot) {`,
          },
        ],
      },
    ],
  },
  {
    id: 'M19',
    title: 'heartbeats to a blocked peer',
    part: 'TypeScript',
    forms: [{ patches: [heartbeatAlways] }],
  },
  {
    id: 'M21',
    title: "a slot is reused while a completion is outstanding: the new client is charged with the old one's",
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: egress,
            find: 'this.#sender.close(slot, how);',
            replace: `this.#sender.close(slot, how);
        this.#end(slot);`,
          },
          {
            file: egress,
            find: `if (results[at + ResultWord.generation] !== this.table.generation[slot] ||
                this.table.state[slot] === SlotState.free) {`,
            replace: 'if (this.table.state[slot] === SlotState.free) {',
          },
          { file: egress, find: 'this.#closing--; this.#end(slot);', replace: 'this.#closing--;' },
        ],
      },
    ],
  },
  {
    id: 'M24',
    title: 'payload and end-of-batch frame are checked against the cap separately: an answer without its end',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: egress,
            find: 'const total = this.#framing.headerBytes + length + (tail === null ? 0 : tail.length);',
            replace: 'const total = this.#framing.headerBytes + length;',
          },
          { file: egress, find: 'if (tail !== null) this.buffers.appendBytes(slot, tail);', replace: '' },
          {
            file: egress,
            find: 'this.#appended(slot, total, nowNs); return true;',
            replace: `this.#appended(slot, total, nowNs);
        return tail === null || this.appendBytes(slot, tail, nowNs);`,
          },
        ],
      },
    ],
  },
  {
    id: 'M28',
    title: "the last flush after a fence acknowledges a superseded epoch's orders",
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: egress,
            find: 'if (!this.pending || this.fenced) return 0;',
            replace: 'if (!this.pending) return 0;',
          },
        ],
      },
    ],
  },
  {
    id: 'M30',
    title: 'latency samples closed at encode time, or kept for connections that were dropped',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: 'stage/record-diagnosis.js',
            find: 'this.samples.add(slot, record.receivedNs, entry, egress().appendedTotal[slot]);',
            replace:
              "if (record.receivedNs > 0) timings.record('serverEndToEnd', endNs - record.receivedNs);",
          },
        ],
      },
      {
        patches: [
          {
            file: egress,
            find: 'this.#delivery.discarded(slot); this.#close(slot, CloseHow.reset);',
            replace: 'this.#close(slot, CloseHow.reset);',
          },
        ],
      },
    ],
  },
];
