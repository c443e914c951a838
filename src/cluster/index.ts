/**
 * The durability mode that several instances share: kept in one place, overridden for a while, and back to each stage's own
 * by itself.
 *
 * ```js
 * const mode = new WatchedMode(postgresText({ servers }, 'mode')); // or natsText
 * mode.follow(stage, { fallback: 'hybrid' });
 * await mode.publish({ policy: 'local', ttlSecs: 600, by: 'on call' });
 * ```
 *
 * @module ackgate/cluster
 */

export type { KeptText, TextSource } from '../shared/text-source.js';
export type { WatchOptions } from '../shared/watched-text.js';
export type { FollowOptions, ModeStage } from './mode-follower.js';
export type { ModeChange, ModeSetting } from './mode-text.js';
export {
  type ModeFollowing,
  type ModeSnapshot,
  WatchedMode,
  type WatchedModeOptions,
} from './watched-mode.js';
