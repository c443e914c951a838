/** Of the table, from left to right. */
const columns = ['uring', 'posix', 'no addon'];

/** What was tried, in order: rows of the matrix (Node × program × backend), and single checks. */
export class Results {
  /** `{ node, what, backend, ok, ms, why }`; `node` and `backend` are null where they don't matter. */
  all = [];
  #say;

  constructor(say) {
    this.#say = say;
  }

  /**
   * Runs `body`; what it throws is why it failed, what it returns is a note.
   *
   * @param {string} what
   * @param {() => unknown} body
   * @param {{ node?: string | null, backend?: string | null }} where
   */
  async check(what, body, { node = null, backend = null } = {}) {
    const beganMs = performance.now();
    let ok = true;
    let note = null;
    try {
      note = (await body()) ?? null;
    } catch (error) {
      ok = false;
      note = error instanceof Error ? error.message : String(error);
    }
    const result = { node, what, backend, ok, ms: Math.round(performance.now() - beganMs), note };
    this.all.push(result);
    const where = [node === null ? null : `Node ${node}`, what, backend].filter((part) => part !== null);
    this.#say(
      `${ok ? 'ok' : 'failed:'} ${where.join(', ')} (${result.ms} ms)${note === null ? '' : ` ${note}`}`,
    );
    return ok;
  }

  get failed() {
    return this.all.filter(({ ok }) => !ok).length;
  }

  get passed() {
    return this.all.length - this.failed;
  }

  /** The matrix as lines of text: a row for each Node and program, a column for each backend. */
  table() {
    const cells = this.all.filter(({ backend }) => backend !== null);
    const backends = columns.filter((name) => cells.some(({ backend }) => backend === name));
    const rows = new Map();
    for (const { node, what, backend, ok, ms } of cells) {
      const key = `${node}\0${what}`;
      if (!rows.has(key)) rows.set(key, { Node: node, program: what });
      rows.get(key)[backend] = ok ? `ok ${ms} ms` : 'failed';
    }
    const head = ['Node', 'program', ...backends];
    const lines = [head, ...[...rows.values()].map((row) => head.map((name) => row[name] ?? '–'))];
    const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
    return lines.map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    );
  }
}
