/** A demo that could not do its part, as it is reported. */
export interface DemoFailure {
  /** Of the list in docs/ERRORS.md; null: none of ours. */
  code: string | null;
  message: string;
}

/** What went wrong, with the way out where only this command knows it. */
export function demoFailure(error: unknown): DemoFailure {
  const text = error instanceof Error ? error.message : String(error);
  const { code, syscall, permission } = error as { code?: unknown; syscall?: unknown; permission?: unknown };
  if (syscall === 'mkdtemp') {
    const message = `no temporary folder can be made for the journal (${text}): name a folder with --journal, or a writable one in TMPDIR`;
    return { code: null, message };
  }
  if (code === 'ERR_ACCESS_DENIED') {
    const message = `Node's permission model forbids what the demo needs (${permission}): it starts processes, and they listen, load the addon and write files`;
    return { code: null, message };
  }
  // The server is another process, and its code comes as part of what it says.
  return { code: /\((ERR_ACKGATE_\w+)\)$/.exec(text)?.[1] ?? null, message: text };
}
