/**
 * Durability policies: when is a sequence durable enough to be acknowledged? Pure arithmetic over the cursors of the nodes,
 * without the rest of the package, also in a browser.
 *
 * ```js
 * const policy = Policy.parse('persisted>=1 && in_memory>=2');
 * policy.evaluate([
 *   { inMemory: null, persisted: 480 }, // the primary
 *   { inMemory: 500, persisted: 0 },
 * ]); // { durablePos: 480, degraded: false }
 * ```
 *
 * @module ackgate/policy
 */

// Nothing here imports from outside this folder but `../errors.js`, which imports nothing itself.
export { AckgateError, type AckgateErrorCode, AckgateRangeError } from '../errors.js';
export type { Across, Clause, Level } from './clause.js';
export { clauseText, MAX_CLUSTER_SIZE } from './clause.js';
export type { BlockerNumber, NodeTable } from './evaluator.js';
export { Blocker, createNodeTable, PolicyEvaluator } from './evaluator.js';
export type { DurabilityMode, PolicyInput, ResolvedPolicy } from './modes.js';
export { customModeByte, modeFromByte, modeToByte, modeToPolicy, parseMode, resolvePolicy } from './modes.js';
export { Policy, type PolicyEvaluation } from './policy.js';
export type { PolicyError } from './policy-error.js';
export { faultPosition } from './policy-error.js';
export type { NodeCursor } from './view.js';
export { fillNodeTable } from './view.js';
