/**
 * What became of a call about one connection. `true`: it is on its way to the stage. `full`: too many control calls wait
 * for the stage, try again. `gone`: the connection has ended, or is about to. Nothing was done but with `true`.
 */
export type ControlOutcome = true | 'full' | 'gone';
