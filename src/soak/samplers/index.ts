export { freePort, serverConnections } from './ports.js';
export { childrenOf, readProcess } from './process.js';
export { type Peak, peakWhile, RssSampler } from './rss.js';
