/**
 * The numbers of the status: how the stage stands, and what it has counted since its start. Instants are nanoseconds on the
 * `monotonicNow` clock, durations nanoseconds.
 */
export interface StatusNumbers {
  /** When this copy was written. */
  statusNs: number;
  /** When the stage began its last round. Grows old without end in a stage that hangs. */
  lastDoWorkNs: number;
  /** Byte of the mode in force, `customModeByte` for a policy of one's own. */
  modeByte: number;
  /** Term of office of this primary. */
  epoch: number;
  /** Highest sequence that may be released; 0 while degraded, Infinity when nothing bounds it. */
  durablePos: number;
  /** Sequence up to which the own journal is persisted, as the gate sees it. */
  journalCursor: number;
  /** Sequence that enough replicas have reached for the policy; -1 when no replica counts. */
  replicaCursor: number;
  /** Nodes whose cursors count, the primary included. */
  connectedNodes: number;
  /** 1 while a record waits for its sequence, else 0. */
  gateClosed: number;
  /** 1 while too few nodes are connected for the policy, so that nothing can become durable, else 0. */
  policyDegraded: number;
  /** Attached connections. */
  connections: number;
  /** Connections whose client takes nothing at the moment. */
  blockedNow: number;
  /** Records in the output ring that the stage has not released yet. */
  ringDepth: number;
  /** Highest wire sequence that was published to the ring. */
  highestSeq: number;
  /** Sequence of the first record that waits, 0 when none does. */
  waitingSeq: number;
  /** Since when records have been waiting without a break; 0 when none waits. */
  gateClosedSinceNs: number;
  /** Revision of the set of directives that the stage goes by; 0: none. */
  directivesRevision: number;
  /** Time that the policy was degraded. */
  policyDegradedNanos: number;
  /** Times that a node sent no cursor frame for too long and was taken out of the view. */
  nodeSilences: number;
  /** Times that the gate was closed. */
  gateWaits: number;
  /** Times that the gate was opened after the journal had been binding. */
  gateJournal: number;
  /** Times that the gate was opened after replication had been binding. */
  gateReplication: number;
  /** Time that records were waiting with the journal binding. */
  gateClosedJournalNanos: number;
  /** Time that records were waiting with replication binding. */
  gateClosedReplicationNanos: number;
  /** Time that records were waiting while the policy was degraded. */
  gateClosedDegradedNanos: number;
  /** Time in rounds that found something to do. */
  busyNanos: number;
  /** Time in rounds that found nothing to do, and asleep. */
  idleNanos: number;
  /** Rounds of the duty cycle. */
  rounds: number;
  /** Rounds that found something to do. */
  busyRounds: number;
  /** Times that the stage slept in the kernel. */
  parks: number;
  /** Records taken from the output ring. */
  recordsIn: number;
  /** Records appended to the send buffer of their connection. */
  recordsReleased: number;
  /** Records for connections that were gone, or that a fence or shutdown left unsent. */
  recordsDiscarded: number;
  /** Bytes appended to send buffers, frames included. */
  bytesAppended: number;
  /** Bytes that the kernel has taken. */
  bytesSent: number;
  /** Bytes that were in send buffers when their connection was dropped. */
  bytesUnsent: number;
  /** Batches of records that were worked on. */
  batches: number;
  /** Flushes: one native call for many sends. */
  flushes: number;
  /** Sends given to the kernel. */
  sends: number;
  /** Sends of which the kernel took a part only. */
  shortSends: number;
  /** Sends of which the kernel took nothing, for the client takes nothing. */
  blockedSends: number;
  /** Heartbeats sent on connections that had nothing else to send. */
  heartbeats: number;
  /** Bodies sent past the gate with `push`. */
  pushes: number;
  /** Control calls taken: attach, disconnect, push and the like. */
  controlRecords: number;
  /** Records that the encoder failed on: their answers are lost. */
  encoderErrors: number;
  /** Log lines that were lost because the control thread did not take them in time. */
  logLinesDropped: number;
  /** Times that were not taken because too many were under way. */
  samplesDropped: number;
  /** Times that the completion queue of the ring was too small. */
  completionOverflows: number;
  /** Flushes for one connection, or none. */
  flushesUpTo1: number;
  /** Flushes for 2 to 4 connections. */
  flushesUpTo4: number;
  /** Flushes for 5 to 16 connections. */
  flushesUpTo16: number;
  /** Flushes for 17 to 64 connections. */
  flushesUpTo64: number;
  /** Flushes for 65 to 256 connections. */
  flushesUpTo256: number;
  /** Flushes for 257 to 1024 connections. */
  flushesUpTo1024: number;
  /** Flushes for more connections. */
  flushesLarger: number;
  /** Records looked at with level `shape` or above. */
  shapeRecords: number;
  /** Bytes of their bodies. */
  shapeBytes: number;
  /** Those of them that were held at the gate. */
  shapeHeld: number;
  /** Those of them that passed the gate by. */
  shapeBypassed: number;
  /** Those of them that were discarded. */
  shapeDiscarded: number;
  /** Those of them with a body of at most 64 bytes. */
  shapeUpTo64: number;
  /** Those of them with a body of 65 to 256 bytes. */
  shapeUpTo256: number;
  /** Those of them with a body of 257 to 1024 bytes. */
  shapeUpTo1024: number;
  /** Those of them with a body of 1025 to 4096 bytes. */
  shapeUpTo4096: number;
  /** Those of them with a larger body. */
  shapeLarger: number;
  /** Records whose times were taken, by level `timing` or above. */
  timedRecords: number;
  /** Records taken down in the capture ring. */
  capturedRecords: number;
  /** Records whose body was not taken down because the redactor failed. */
  captureErrors: number;
  /** Connections dropped with the reason `overflow`. */
  dropsOverflow: number;
  /** Connections dropped with the reason `blocked`. */
  dropsBlocked: number;
  /** Connections dropped with the reason `reset`. */
  dropsReset: number;
  /** Connections dropped with the reason `send-error`. */
  dropsSendError: number;
  /** Connections dropped with the reason `fenced`. */
  dropsFenced: number;
  /** Connections dropped with the reason `drain-timeout`. */
  dropsDrainTimeout: number;
  /** Connections dropped with the reason `disconnected`. */
  dropsDisconnected: number;
  /** Connections dropped with the reason `stage-failed`. */
  dropsStageFailed: number;
}
