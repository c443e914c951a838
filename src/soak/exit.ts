/** How a server's process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it could not even be started; null when it was. */
  readonly error: string | null;
}

/** For people, such as `exit code 3`. */
export function describeExit({ code, signal, error }: Exit): string {
  if (error !== null) return error;
  return signal === null ? `exit code ${code}` : `signal ${signal}`;
}

/** The last lines of an output that say something. */
export function lastLines(output: string, count: number): string {
  return output.trimEnd().split('\n').slice(-count).join('\n');
}
