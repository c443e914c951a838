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
