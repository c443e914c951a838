/**
 * A body as it goes over the wire: its length as a little-endian 32-bit number, then the body.
 *
 * @param {Uint8Array} body
 */
export function frame(body) {
  const header = Buffer.alloc(4);
  header.writeUInt32LE(body.length);
  return Buffer.concat([header, body]);
}
