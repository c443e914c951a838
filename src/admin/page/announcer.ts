import { setText } from './dom.js';

/** Changes that follow each other faster are told as the last of them only. */
const quietMs = 3000;

/** Tells screen readers what has changed, without ever talking all the time. */
export class Announcer {
  readonly #region: HTMLElement;
  #said = '';
  #next = '';
  #timer: number | undefined;

  constructor(region: HTMLElement) {
    this.#region = region;
  }

  say(text: string): void {
    this.#next = text;
    if (this.#timer !== undefined) return;
    this.#tell();
  }

  #tell(): void {
    this.#timer = undefined;
    if (this.#next === this.#said) return;
    this.#said = this.#next;
    setText(this.#region, this.#said);
    this.#timer = window.setTimeout(() => this.#tell(), quietMs);
  }
}
