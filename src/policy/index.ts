/*
 * Durability policies: pure arithmetic over cursors, also for a browser. Nothing here imports from outside this
 * folder but `../errors.js`, which imports nothing itself.
 */
export type { Across, Clause, Level } from './clause.js';
export { clauseText, MAX_CLUSTER_SIZE } from './clause.js';
export type { BlockerNumber, NodeTable } from './evaluator.js';
export { Blocker, createNodeTable, PolicyEvaluator } from './evaluator.js';
export type { DurabilityMode, ResolvedPolicy } from './modes.js';
export { customModeByte, modeFromByte, modeToByte, modeToPolicy, parseMode, resolvePolicy } from './modes.js';
export { Policy } from './policy.js';
export type { PolicyError } from './policy-error.js';
export { faultPosition } from './policy-error.js';
export type { NodeCursor } from './view.js';
export { fillNodeTable } from './view.js';
