/**
 * Directives raise for a while how closely a slice of the traffic is looked at: sets of them, the stores that they come
 * from, tokens that raise a single session, and an evaluator for the application's own code.
 *
 * ```js
 * const store = new InMemoryStore();
 * stage.diagnosis.follow(store);
 * store.publish([{ id: 'slow-acme', level: 'timing', expiresAt: Date.now() + 600_000, tenant: 'acme' }]);
 * ```
 *
 * @module ackgate/directives
 */

export type { LevelGrant } from '../diagnosis/api.js';
export type { Directive, DirectiveSnapshot, DirectiveStore } from '../diagnosis/directive.js';
export { type DiagnosisLevel, diagnosisLevels } from '../diagnosis/levels.js';
export { sampled, sampleOf } from '../diagnosis/sampling.js';
export type { KeptText, TextSource } from '../shared/text-source.js';
export type { WatchOptions } from '../shared/watched-text.js';
export { type DecodedDirectives, type DecodeOptions, decodeDirectives } from './decode.js';
export { encodeDirectives, encodeKeptDirectives } from './encode.js';
export { DirectiveEvaluator, type DirectiveEvaluatorOptions, type TrafficSlice } from './evaluator.js';
export { type DirectiveFault, type DirectiveSlug, type DirectivesError, directiveSlugs } from './fault.js';
export { InMemoryStore } from './in-memory-store.js';
export type { Kinds } from './shape.js';
export type { StoreOptions } from './snapshot.js';
export { StaticStore } from './static-store.js';
export type { PublishableStore, PublishOptions } from './store.js';
export {
  signToken,
  type TokenClaims,
  type TokenKey,
  TokenVerifier,
  type TokenVerifierOptions,
} from './token.js';
export { WatchedStore, type WatchedStoreOptions } from './watched-store.js';
