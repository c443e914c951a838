/** How this server's protocol looks on the wire; loaded by the stage's thread. */
const text = (/** @type {string} */ value) => new Uint8Array(Buffer.from(value));

/** @type {import('ackgate').Framing} */
export default {
  headerBytes: 0, // payloads bring their own end of line
  writeHeader() {},
  endOfBatch: text('\n'), // behind the last line of each answer
  heartbeat: text(''), // the protocol has none
  serverBusy: text('busy\n\n'),
  disconnect: (reason) => text(`disconnected ${reason}\n\n`),
};
