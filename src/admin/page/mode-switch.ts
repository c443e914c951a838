import { modeToPolicy, parseMode } from '../../policy/index.js';
import type { StatusAnswer } from './answer.js';
import { element, setText } from './dom.js';
import { missingNodes } from './needs.js';

const what: Record<string, string> = {
  local: 'Responses leave once the journal of this server has them.',
  replicated: 'Responses leave once this server and a replica have them in memory; a disk is not waited for.',
  hybrid: 'Responses leave once the journal of this server has them and a replica has them in memory.',
  'durably-replicated': 'Responses leave once two servers have them on disk.',
};

const refusals: Record<number, string> = {
  400: 'the server does not know this mode',
  401: 'the token is not right (401)',
  403: 'the server takes no admin calls over this connection (403)',
  404: 'switching is off on this server (404)',
  409: 'the stage takes no changes just now (409)',
  429: 'too many attempts; wait a little (429)',
  503: 'the stage takes no changes just now (503)',
};

/** The select, the button, and the dialog that asks once more. The token is sent with one request and forgotten. */
export class ModeSwitch {
  readonly #select = element<HTMLSelectElement>('mode-select');
  readonly #open = element<HTMLButtonElement>('mode-open');
  readonly #dialog = element<HTMLDialogElement>('mode-dialog');
  readonly #token = element<HTMLInputElement>('token');
  readonly #error = element('dialog-error');
  readonly #confirm = element<HTMLButtonElement>('dialog-confirm');
  readonly #result = element('mode-result');
  readonly #onChanged: () => void;
  #mode = '';
  #policy = '';
  #connectedNodes = 0;
  #modes: readonly string[] = [];

  /** @param onChanged called when the server has taken a change */
  constructor(onChanged: () => void) {
    this.#onChanged = onChanged;
    this.#open.addEventListener('click', () => this.#ask());
    element('dialog-cancel').addEventListener('click', () => this.#dialog.close());
    element('mode-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#dialog.addEventListener('close', () => {
      this.#token.value = '';
      setText(this.#error, '');
    });
  }

  show({ status, admin, modes }: StatusAnswer): void {
    this.#mode = status.mode;
    this.#policy = status.policy;
    this.#connectedNodes = status.connectedNodes;
    const enabled = admin?.mode === true;
    element('mode-off').hidden = enabled;
    element('mode-controls').hidden = !enabled;
    if (modes?.join() === this.#modes.join()) return;
    this.#modes = modes ?? [];
    this.#select.replaceChildren(...this.#modes.map((mode) => new Option(mode, mode)));
    this.#select.value = this.#modes.find((mode) => mode !== status.mode) ?? status.mode;
  }

  #ask(): void {
    const to = this.#select.value;
    if (to === this.#mode) {
      setText(this.#result, `The mode is ${to} already.`);
      return;
    }
    setText(this.#result, '');
    setText(element('dialog-text'), what[to] ?? '');
    setText(element('dialog-from'), this.#mode === 'custom' ? `custom (${this.#policy})` : this.#mode);
    setText(element('dialog-to'), to);
    this.#warn(to);
    this.#dialog.showModal();
    this.#token.focus();
  }

  /** A mode that stops all acknowledgements is allowed, but nobody should choose it unawares. */
  #warn(to: string): void {
    const mode = parseMode(to);
    const missing = mode === null ? null : missingNodes(modeToPolicy(mode), this.#connectedNodes);
    const warning = element('dialog-warning');
    warning.hidden = missing === null;
    setText(warning, missing === null ? '' : `Nothing will be acknowledged: its ${missing}.`);
  }

  async #submit(): Promise<void> {
    const to = this.#select.value;
    if (this.#token.value === '') {
      this.#refuse('enter the admin token');
      return;
    }
    this.#confirm.disabled = true;
    const refusal = await changeMode(to, this.#token.value);
    this.#confirm.disabled = false;
    if (refusal !== null) {
      this.#refuse(refusal);
      return;
    }
    this.#dialog.close();
    setText(this.#result, `The mode is ${to} now.`);
    this.#onChanged();
  }

  #refuse(reason: string): void {
    setText(this.#error, `Not changed: ${reason}.`);
    this.#token.select();
    this.#token.focus();
  }
}

/** Why the server refused, or null when it did not. */
async function changeMode(mode: string, token: string): Promise<string | null> {
  try {
    const response = await fetch('admin/mode', {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ mode }),
      cache: 'no-store',
      credentials: 'omit',
      signal: AbortSignal.timeout(5000),
    });
    // Nothing in it is shown; unread, the connection would be cut.
    await response.text();
    return response.ok ? null : (refusals[response.status] ?? `the server answers with ${response.status}`);
  } catch (error) {
    // A token with characters that no header may have never left this page.
    if (error instanceof TypeError && /[^\x21-\x7e]/.test(token)) return 'the token is not right';
    return 'the server can’t be reached; look at the mode before you try again';
  }
}
