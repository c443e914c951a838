/** Clients that misbehave, for testing servers of length-prefixed frames over TCP. */
export { FaultClient, type FloodOptions, type TrickleOptions } from './fault-client.js';
export { type Fault, type FaultSetting, faults } from './faults.js';
export { type ClientOptions, FramedClient } from './framed-client.js';
export { type Ending, NoFrameError } from './inbox.js';
export { noise } from './noise.js';
export { reconnectStorm, type StormCounts, type StormOptions } from './reconnect-storm.js';
