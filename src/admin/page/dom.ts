/*
 * What the server says reaches the page as text only, never as markup.
 */

export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found as T;
}

/** Leaves the document alone when nothing changes: selections stay, and screen readers have nothing to say. */
export function setText(node: HTMLElement, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

export interface Fact {
  name: string;
  value: string;
  alarm?: boolean;
}

/** A `dl` whose entries keep their places while their values change. */
export class Facts {
  readonly #list: HTMLElement;
  readonly #entries = new Map<string, { box: HTMLElement; value: HTMLElement }>();

  constructor(id: string) {
    this.#list = element(id);
  }

  show(facts: readonly Fact[]): void {
    const names = new Set(facts.map(({ name }) => name));
    for (const [name, { box }] of this.#entries) {
      if (names.has(name)) continue;
      box.remove();
      this.#entries.delete(name);
    }
    for (const { name, value, alarm } of facts) {
      const entry = this.#entries.get(name) ?? this.#add(name);
      setText(entry.value, value);
      entry.box.toggleAttribute('data-alarm', alarm === true);
    }
  }

  #add(name: string): { box: HTMLElement; value: HTMLElement } {
    const box = document.createElement('div');
    const term = document.createElement('dt');
    const value = document.createElement('dd');
    term.textContent = name;
    box.append(term, value);
    this.#list.append(box);
    const entry = { box, value };
    this.#entries.set(name, entry);
    return entry;
  }
}

/** Puts rows of text into a table's body; the first cell of each is its heading. */
export function showRows(body: HTMLElement, rows: readonly (readonly string[])[]): void {
  while (body.children.length > rows.length) body.lastElementChild!.remove();
  for (const [i, cells] of rows.entries()) {
    let row = body.children[i] as HTMLElement | undefined;
    if (row === undefined) {
      row = document.createElement('tr');
      for (const [at] of cells.entries()) {
        const cell = document.createElement(at === 0 ? 'th' : 'td');
        if (at === 0) cell.setAttribute('scope', 'row');
        row.append(cell);
      }
      body.append(row);
    }
    for (const [at, text] of cells.entries()) setText(row.children[at] as HTMLElement, text);
  }
}
