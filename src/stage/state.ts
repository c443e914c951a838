/** Values of the state word, and of `status().state`. */
export const StageState = { starting: 0, running: 1, draining: 2, fenced: 3, failed: 4, closed: 5 } as const;
export type StageStateName = keyof typeof StageState;
export const stageStateNames = Object.keys(StageState) as StageStateName[];
