import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import type { Logger } from '../shared/logger.js';
import type { Timers } from './timers.js';

/** How often it looks while all is well, and during a shortage. */
const lookMs = 1000;
const lookShortMs = 50;
/** A shortage is over when there was room for so long, so that one at the edge of the limit is one, not hundreds. */
const calmMs = 1000;
/** What a connection takes: its socket's, and the one that the stage sends by. */
const descriptorsPerConnection = 2;

/** What an error says when there is no descriptor, or no memory for one, just now. */
const passing: readonly (string | undefined)[] = ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'];

export function isShortage(error: { readonly code?: string | undefined }): boolean {
  return passing.includes(error.code);
}

export interface DescriptorWatchParts {
  readonly logger: Logger;
  readonly timers: Timers;
  /** It looks from time to time as long as this holds. */
  readonly isListening: () => boolean;
  /** A shortage has begun. */
  readonly onShortage: () => void;
}

/**
 * Notices when the process has no descriptors left for a connection. On Linux nobody else says so: libuv accepts with one
 * that it keeps for this, closes the connection, and reports nothing.
 */
export class DescriptorWatch {
  readonly #parts: DescriptorWatchParts;
  #cancel: (() => void) | null = null;
  #shortSince: number | null = null;
  #lastShortAt = 0;

  constructor(parts: DescriptorWatchParts) {
    this.#parts = parts;
  }

  /** Looks from time to time from now on. Keeps no process alive. */
  watch(): void {
    const { timers, isListening } = this.#parts;
    this.#cancel?.();
    const again = () => {
      if (!isListening()) return;
      this.look();
      this.watch();
    };
    const ms = this.#shortSince === null ? lookMs : lookShortMs;
    this.#cancel = timers.after(ms, again, { background: true });
  }

  /** Whether there is room for one more connection. */
  look(): void {
    const error = shortage();
    if (error !== null) this.ranOut(error);
    else if (this.#shortSince !== null) this.#recover();
  }

  /** Something has failed for want of descriptors. */
  ranOut(error: unknown): void {
    const { timers, logger, onShortage } = this.#parts;
    this.#lastShortAt = timers.now();
    if (this.#shortSince !== null) return;
    this.#shortSince = this.#lastShortAt;
    onShortage();
    this.watch();
    logger.warn(
      { err: error },
      'out of descriptors: new connections are closed, or wait, until some are free',
    );
  }

  #recover(): void {
    const { timers, logger } = this.#parts;
    if (timers.now() - this.#lastShortAt < calmMs) return;
    const shortMs = Math.round(this.#lastShortAt - (this.#shortSince as number));
    this.#shortSince = null;
    logger.info({ shortMs }, 'descriptors are free again: new connections are taken');
  }
}

/** Why a connection would find no descriptors; null: it would. */
function shortage(): NodeJS.ErrnoException | null {
  const opened: number[] = [];
  try {
    while (opened.length < descriptorsPerConnection) opened.push(openSync(devNull, 'r'));
    return null;
  } catch (error) {
    // Anything else says nothing about descriptors, such as a process that may not read files.
    return isShortage(error as NodeJS.ErrnoException) ? (error as NodeJS.ErrnoException) : null;
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}
