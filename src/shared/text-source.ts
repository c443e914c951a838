/** One text under one name, as several instances share it: such as a row of a table or a key of a bucket. */
export interface KeptText {
  /** Which writing it is: from 1 on, another one with every write. */
  readonly revision: number;
  /** What was written. */
  readonly text: string;
}

/**
 * A place that is shared by several instances, as `WatchedStore` and `WatchedMode` use it. Every call may fail and may be
 * called again; one that does not answer within `answerTimeoutMs` of their options counts as failed, and what it answers later
 * is ignored.
 */
export interface TextSource {
  /**
   * What is kept now; null: nothing, never or no longer. Must see what was written before it was called, so it must
   * not be answered by a copy that lags behind.
   */
  read(): Promise<KeptText | null>;
  /**
   * Resolves once every change from then on will be told by `changed`, and until `failed` is called. Both may be
   * called too often, late or twice. The function it resolves to ends the watch.
   */
  watch(changed: () => void, failed: (error: unknown) => void): Promise<() => void | Promise<void>>;
  /**
   * Keeps another text instead, if `ifRevision` is undefined or the revision that is kept (0: nothing is), in one step.
   * Resolves to the new revision, null when `ifRevision` isn't that any more.
   */
  write?(text: string, ifRevision: number | undefined): Promise<number | null>;
}
