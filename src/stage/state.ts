/** Values of the state word, and of `status().state`. */
export const StageState = {
  starting: 0,
  running: 1,
  draining: 2,
  fenced: 3,
  failed: 4,
  closed: 5,
} as const satisfies Record<StageStateName, number>;
/** Where a stage is in its life. */
export type StageStateName =
  /** Its thread is being set up. */
  | 'starting'
  /** It works. */
  | 'running'
  /** It sends what is released, and takes nothing new. */
  | 'draining'
  /** A later primary has taken over: nothing more is submitted. */
  | 'fenced'
  /** It stopped because going on was unsafe. */
  | 'failed'
  /** It has ended, and given everything back. */
  | 'closed';
export const stageStateNames = Object.keys(StageState) as StageStateName[];
