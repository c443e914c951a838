import { CompiledDirectives, compiledBytes } from './compiled-directives.js';
import type { DirectiveSnapshot } from './directive.js';
import type { DiagnosisLevel } from './levels.js';

/*
 * The set in force in the stage's memory, written by the control thread under a sequence lock:
 *
 *      0  lock   i32, odd while it is written
 *     64  set    see compiled-directives.ts
 */
const setAt = 64;
export const sharedDirectivesBytes = setAt + compiledBytes;

/** The control thread's end. */
export class DirectivesWriter {
  readonly #lock: Int32Array;
  readonly #set: CompiledDirectives;
  readonly #next = new CompiledDirectives();

  constructor(buffer: SharedArrayBuffer, byteOffset: number) {
    this.#lock = new Int32Array(buffer, byteOffset, 1);
    this.#set = new CompiledDirectives(buffer, byteOffset + setAt);
  }

  write(
    snapshot: DirectiveSnapshot,
    kinds: Readonly<Record<string, number>>,
    baseline: DiagnosisLevel,
  ): void {
    // Before the lock is taken: a set that can't be compiled must not leave it taken.
    this.#next.use(snapshot, kinds, baseline);
    Atomics.add(this.#lock, 0, 1);
    this.#set.bytes.set(this.#next.bytes);
    Atomics.add(this.#lock, 0, 1);
  }
}

/** The stage's end: a private copy, which nobody changes but `refresh`. */
export class DirectivesReader {
  readonly set = new CompiledDirectives();
  readonly #lock: Int32Array;
  readonly #shared: Uint8Array;
  /** Of the copy; the block begins with 0 and an empty set, as the copy does. */
  #seen = 0;

  constructor(buffer: SharedArrayBuffer, byteOffset: number) {
    this.#lock = new Int32Array(buffer, byteOffset, 1);
    this.#shared = new Uint8Array(buffer, byteOffset + setAt, compiledBytes);
  }

  /** True while there is a newer set, or one is just being written. */
  changed(): boolean {
    return Atomics.load(this.#lock, 0) !== this.#seen;
  }

  /** Takes the newest set, unless it is just being written: then the old one holds until the next round. */
  refresh(): boolean {
    const before = Atomics.load(this.#lock, 0);
    if ((before & 1) !== 0 || before === this.#seen) return false;
    const copy = this.#shared.slice();
    // Adds nothing: a read-modify-write is what the plain reads above can't be moved behind.
    if (Atomics.add(this.#lock, 0, 0) !== before) return false;
    this.set.bytes.set(copy);
    this.#seen = before;
    return true;
  }
}
