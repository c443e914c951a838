import type { Logger } from '../shared/logger.js';
import { nodeLines } from '../shared/memory.js';
import type { FrameLines } from './frame-lines.js';
import type { NodeNames } from './node-names.js';

export interface SilenceParts {
  frames: FrameLines;
  names: NodeNames;
  logger: Logger;
  /** A node is silent once its last frame came so long ago. */
  staleAfterNs: number;
}

/**
 * Takes nodes that have stopped sending frames out of the view, and tells when they fall silent and come back. Nodes that
 * are moved by `connect` and `advance` are none of its business.
 */
export class SilenceWatch {
  /** Times that a node fell silent. */
  fellSilent = 0;

  readonly #parts: SilenceParts;
  /** Per line: when the last frame before the silence came, 0 while it is not silent. */
  readonly #silentSinceNs = new Float64Array(nodeLines);
  /** Whose silence that is. */
  readonly #tenancies = new Int32Array(nodeLines);

  constructor(parts: SilenceParts) {
    this.#parts = parts;
  }

  /** Returns how many nodes it has disconnected. */
  tick(nowNs: number): number {
    const { frames, names } = this.#parts;
    let disconnected = 0;
    for (let line = 1; line < names.count; line++) {
      if (this.#silentSinceNs[line] !== 0) this.#lookForReturn(line, nowNs);
      if (frames.isFed(line) && this.#isSilent(line, nowNs)) disconnected++;
    }
    return disconnected;
  }

  /** When the first node will have been silent for too long, if none sends another frame. */
  nextDeadlineNs(): number {
    const { frames, names, staleAfterNs } = this.#parts;
    let firstNs = Number.POSITIVE_INFINITY;
    for (let line = 1; line < names.count; line++) {
      if (!frames.isFed(line)) continue;
      const frame = frames.read(line);
      if (frame !== null) firstNs = Math.min(firstNs, frame.heardNs + staleAfterNs);
    }
    return firstNs;
  }

  #isSilent(line: number, nowNs: number): boolean {
    const { frames, names, logger, staleAfterNs } = this.#parts;
    const { heardNs = nowNs } = frames.read(line) ?? {};
    if (nowNs - heardNs < staleAfterNs) return false;
    const tenancy = frames.tenancy(line);
    const node = names.name(line);
    if (!frames.silence(line, tenancy, heardNs)) return false;
    this.fellSilent++;
    this.#silentSinceNs[line] = heardNs;
    this.#tenancies[line] = tenancy;
    logger.warn({ node, silentMs: milliseconds(nowNs - heardNs) }, 'node fell silent, it no longer counts');
    return true;
  }

  #lookForReturn(line: number, nowNs: number): void {
    const { frames, names, logger } = this.#parts;
    const isOther = frames.tenancy(line) !== this.#tenancies[line];
    if (!isOther && !frames.isActive(line)) return;
    const silentMs = milliseconds(nowNs - this.#silentSinceNs[line]);
    this.#silentSinceNs[line] = 0;
    if (!isOther) logger.info({ node: names.name(line), silentMs }, 'node is back, it counts again');
  }
}

function milliseconds(ns: number): number {
  return Math.round(ns / 1e6);
}
