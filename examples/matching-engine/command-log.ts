/** What the journal holds: whose command, and the request as it came. */
import { type Command, decodeRequest, RequestTag, requestBytesMax } from './protocol.js';

const clientIdBytes = 4;
export const commandBytesMax = clientIdBytes + requestBytesMax;

/** Writes the record into `into` and returns the part that was written. */
export function encodeCommand(clientId: number, requestBody: Buffer, into: Buffer): Buffer {
  into.writeUInt32LE(clientId, 0);
  requestBody.copy(into, clientIdBytes);
  return into.subarray(0, clientIdBytes + requestBody.length);
}

/** @throws an Error on anything that `encodeCommand` did not write: a journal of another program */
export function decodeCommand(record: Uint8Array): { clientId: number; command: Command } {
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
  const command = bytes.length > clientIdBytes ? decodeRequest(bytes.subarray(clientIdBytes)) : null;
  switch (command?.tag) {
    case RequestTag.limit:
    case RequestTag.market:
    case RequestTag.cancel:
      return { clientId: bytes.readUInt32LE(0), command };
    default:
      throw new Error('the journal holds a record that is no command of this server');
  }
}
