import type { Mutant } from './catalogue.js';

const frames = 'gate/frame-lines.js';
const watch = 'gate/silence-watch.js';
const earlierEpoch = `if (!isNew && epoch < lastEpoch) return 'stale-epoch';`;
const repeated = `if (!isNew && at <= this.#loadFloat(base + At.at)) return 'repeated';`;
const goesOn = 'if (!isNew && active && Atomics.load(words, base + At.fed) === 1)';
const seeds = `this.#store(base + At.inMemory, persisted);
        this.#store(base + At.persisted, persisted);
        Atomics.store(this.#words, base + At.active, 1);`;
const zeroes = `this.#store(base + At.inMemory, 0);
        this.#store(base + At.persisted, 0);
        Atomics.store(this.#words, base + At.active, 0);`;

/** What nodes tell of themselves, and what their silence means. */
export const cursorFrameMutants: readonly Mutant[] = [
  {
    id: 'N01',
    title: 'frames of an earlier life count',
    part: 'TypeScript',
    forms: [
      { patches: [{ file: frames, find: earlierEpoch, replace: '' }] },
      {
        patches: [
          {
            file: frames,
            find: earlierEpoch,
            replace: `if (!isNew && epoch < lastEpoch) {
            if (Atomics.load(words, base + At.active) === 1) this.#raise(base, inMemory, persisted);
            return 'stale-epoch';
        }`,
          },
        ],
      },
    ],
  },
  {
    id: 'N02',
    title: 'a cursor goes back within a life',
    part: 'TypeScript',
    forms: [{ patches: [{ file: frames, find: 'if (value <= this.#load(word)) return;', replace: '' }] }],
  },
  {
    id: 'N03',
    title: 'a new life keeps what the one before had in memory',
    part: 'TypeScript',
    forms: [{ patches: [{ file: frames, find: goesOn, replace: goesOn.replace('!isNew && ', '') }] }],
  },
  {
    id: 'N04',
    title: 'a silence is never noticed, or not by a stage that sleeps',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: watch,
            find: 'if (frames.isFed(line) && this.#isSilent(line, nowNs)) disconnected++;',
            replace: '',
          },
        ],
      },
      {
        patches: [
          { file: 'stage/duties.js', find: 'silence.nextDeadlineNs()', replace: 'Number.POSITIVE_INFINITY' },
        ],
      },
    ],
  },
  {
    id: 'N05',
    title: 'a frame that comes twice, or of an earlier life, is a sign of life',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: frames,
            find: repeated,
            replace: `if (!isNew && at <= this.#loadFloat(base + At.at)) {
            this.#store(base + At.heardNs, nowNs);
            return 'repeated';
        }`,
          },
        ],
      },
      {
        patches: [
          {
            file: frames,
            find: earlierEpoch,
            replace: `if (!isNew && epoch < lastEpoch) {
            this.#store(base + At.heardNs, nowNs);
            return 'stale-epoch';
        }`,
          },
        ],
      },
    ],
  },
  {
    id: 'N06',
    title: 'a node is marked active before its cursors are seeded: those of its last life count',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          { file: frames, find: zeroes, replace: 'Atomics.store(this.#words, base + At.active, 0);' },
          {
            file: frames,
            find: seeds,
            replace: `Atomics.store(this.#words, base + At.active, 1);
        unlockLine(this.#words, base);
        lockLineSoon(this.#words, base);
        this.#store(base + At.inMemory, persisted);
        this.#store(base + At.persisted, persisted);`,
          },
        ],
      },
    ],
  },
  {
    id: 'N07',
    title: 'a frame that names what was never issued counts',
    part: 'TypeScript',
    forms: [
      { patches: [{ file: frames, find: 'if (inMemory > issued) {', replace: 'if (false) {' }] },
      { patches: [{ file: frames, find: 'if (inMemory > issued) {', replace: 'if (persisted > issued) {' }] },
    ],
  },
  {
    id: 'N08',
    title: 'a node that follows another history goes on counting with what it had in its last life',
    part: 'TypeScript',
    forms: [{ patches: [{ file: frames, find: 'if (active) this.#disconnect(base);', replace: '' }] }],
  },
  {
    id: 'N09',
    title: 'a node that was silent is forgotten: frames of an earlier life connect it',
    part: 'TypeScript',
    forms: [
      {
        patches: [
          {
            file: frames,
            find: 'if (silent) this.#disconnect(base);',
            replace:
              'if (silent) { this.#disconnect(base); Atomics.store(this.#words, base + At.known, 0); }',
          },
        ],
      },
    ],
  },
  {
    id: 'N10',
    title: 'a node is found silent though a frame has just come',
    part: 'TypeScript',
    forms: [
      { patches: [{ file: frames, find: '&& this.#load(base + At.heardNs) <= heardNs', replace: '' }] },
    ],
  },
  {
    id: 'N11',
    title: 'a node that is heard for the first time, or that moves, does not wake the stage',
    part: 'TypeScript',
    forms: [{ patches: [{ file: 'gate/frame-intake.js', find: 'if (frames.moved) wake();', replace: '' }] }],
  },
];
