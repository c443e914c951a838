// What server and clients of bench/79-churn.mjs say to each other, in frames with a length before each.
import { applicationTagMin } from '../../dist/encode/framing.js';

/** Where what is in a request, and in its answer, which is the same. */
export const RequestAt = { tag: 0, pushes: 1, number: 2 };
const requestBytes = 16;

/** @param {number} pushes how many the server is to send before the answer */
export function request(number, pushes) {
  const body = Buffer.alloc(requestBytes, 0xa5);
  body[RequestAt.tag] = applicationTagMin;
  body[RequestAt.pushes] = pushes;
  body.writeUInt32LE(number, RequestAt.number);
  return body;
}

/** The next answer, past heartbeats and pushes. Throws when the connection ends before. */
export async function answer(client, timeoutMs) {
  for (;;) {
    const body = await client.nextFrame(timeoutMs);
    if (body[RequestAt.tag] === applicationTagMin) return body;
  }
}
