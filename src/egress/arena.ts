import { nativeAddon } from './native.js';
import { sendBufferBytes } from './sender.js';

/** Covers the largest page that a supported machine uses. */
const pageBytesMax = 65_536;

/**
 * Room for `slots` send buffers, each on a page boundary. Address space only: pages are touched when they are used.
 *
 * A backing store starts somewhere inside a page, so one page more is allocated and the view starts at the next one.
 */
export function allocateArena(slots: number): Uint8Array {
  const bytes = slots * sendBufferBytes;
  const buffer = new SharedArrayBuffer(bytes + pageBytesMax);
  const offset = nativeAddon().pageOffset(new Uint8Array(buffer));
  return new Uint8Array(buffer, offset === 0 ? 0 : pageBytesMax - offset, bytes);
}
