import type { Socket } from 'node:net';

interface Piece {
  readonly bytes: Buffer;
  /** Before the next piece, in milliseconds. */
  readonly pauseMs: number;
}

/** Writes to a socket in order; behind a frame that goes out slowly, the others wait until all of it has. */
export class PacedWriter {
  readonly #socket: Socket;
  readonly #waiting: Piece[] = [];
  #timer: NodeJS.Timeout | null = null;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  write(bytes: Buffer): void {
    this.#put({ bytes, pauseMs: 0 });
  }

  /** In three pieces with a pause between them. */
  writeSlowly(bytes: Buffer, pauseMs: number): void {
    const third = Math.ceil(bytes.length / 3);
    for (const at of [0, 1, 2]) {
      const piece = bytes.subarray(at * third, (at + 1) * third);
      this.#put({ bytes: piece, pauseMs: at < 2 ? pauseMs : 0 });
    }
  }

  /** Forgets what waits. */
  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#waiting.length = 0;
  }

  #put(piece: Piece): void {
    this.#waiting.push(piece);
    if (this.#timer === null) this.#next();
  }

  #next(): void {
    this.#timer = null;
    for (let piece = this.#waiting.shift(); piece !== undefined; piece = this.#waiting.shift()) {
      this.#socket.write(piece.bytes);
      if (piece.pauseMs > 0) {
        this.#timer = setTimeout(() => this.#next(), piece.pauseMs);
        return;
      }
    }
  }
}
