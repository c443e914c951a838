/** Bytes of what the threads of a recording send each other over sockets. */
export const orderBytes = 16;
/** Primary to replica: a sequence, as a 64-bit float; what a record holds does not matter, when it moves does. */
export const recordWireBytes = 8;
/** Replica to primary: its two cursors, as 64-bit floats. */
export const ackWireBytes = 16;
