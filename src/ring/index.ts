export { Consumer, type RecordInRing, type RecordView } from './consumer.js';
export { createRing, RecordFlag, type RingHandle } from './layout.js';
export {
  claimFull,
  claimOversize,
  claimStopped,
  Producer,
  type PublishResult,
  type ResponseRecord,
  type RingPeer,
} from './producer.js';
