import { describe, expect, test } from 'vitest';
import { checkEncoder, encoderBodyBytesMax, loadEncoder } from '#ackgate/encode/encoder.js';
import {
  applicationTagMin,
  ControlTag,
  checkFraming,
  frame,
  lengthPrefixFraming,
  loadFraming,
} from '#ackgate/encode/framing.js';
import { codeOf } from './support/values.js';

const code = 'ERR_ACKGATE_ENCODER_MODULE';
const encode = () => 0;
/** A module of its own, as a URL. */
const moduleOf = (source: string) => `data:text/javascript,${encodeURIComponent(source)}`;

describe('the framing', () => {
  test('puts the length before the body, little-endian, without itself', () => {
    const bytes = new Uint8Array(8).fill(0xff);
    lengthPrefixFraming.writeHeader(bytes, 2, 0x01020304);
    expect(Array.from(bytes)).toEqual([255, 255, 4, 3, 2, 1, 255, 255]);
    expect(Array.from(frame(lengthPrefixFraming, Uint8Array.of(7, 8)))).toEqual([2, 0, 0, 0, 7, 8]);
  });

  test('has control frames of one tag, and one byte of reason to disconnect', () => {
    const { heartbeat, endOfBatch, serverBusy, disconnect } = lengthPrefixFraming;
    expect(
      [heartbeat, endOfBatch, serverBusy, disconnect(0), disconnect(255)].map((f) => Array.from(f)),
    ).toEqual([
      [1, 0, 0, 0, 0x01],
      [1, 0, 0, 0, 0x02],
      [1, 0, 0, 0, 0x04],
      [2, 0, 0, 0, 0x05, 0],
      [2, 0, 0, 0, 0x05, 255],
    ]);
    expect(ControlTag.engineError).toBe(0x03);
    expect(Math.max(...Object.values(ControlTag))).toBeLessThan(applicationTagMin);
    expect(applicationTagMin).toBe(0x10);
  });

  test.each([
    ['nothing', undefined],
    ['no writeHeader', { ...lengthPrefixFraming, writeHeader: 1 }],
    ['no disconnect', { ...lengthPrefixFraming, disconnect: undefined }],
    ['a header that is too long', { ...lengthPrefixFraming, headerBytes: 17 }],
    ['half a byte of header', { ...lengthPrefixFraming, headerBytes: 1.5 }],
    ['a heartbeat of text', { ...lengthPrefixFraming, heartbeat: 'beat' }],
    ['an end that fits behind no body', { ...lengthPrefixFraming, endOfBatch: new Uint8Array(33) }],
  ])('of one’s own is refused with %s', (_, framing) => {
    expect(codeOf(() => checkFraming(framing, 'framing'))).toBe(code);
    expect(() => checkFraming(framing, 'framing of X')).toThrow(/framing of X/);
  });
});

describe('an encoder', () => {
  test('with a body that fits into a send buffer is taken as it is', () => {
    for (const bodyBytesMax of [1, encoderBodyBytesMax]) {
      const encoder = { bodyBytesMax, encode };
      expect(checkEncoder(encoder, 'encoder')).toBe(encoder);
    }
  });

  test.each([
    ['nothing', null],
    ['a function', encode],
    ['no encode', { bodyBytesMax: 5 }],
    ['no bodyBytesMax', { encode }],
    ['a body of nothing', { encode, bodyBytesMax: 0 }],
    ['a body and a half', { encode, bodyBytesMax: 1.5 }],
    ['a body that leaves no room for framing', { encode, bodyBytesMax: encoderBodyBytesMax + 1 }],
    ['a body of text', { encode, bodyBytesMax: '5' }],
  ])('is refused with %s', (_, encoder) => {
    expect(codeOf(() => checkEncoder(encoder, 'encoder'))).toBe(code);
  });
});

describe('modules', () => {
  test('export an encoder, or a function that makes one, at once or later', async () => {
    const object = '{ bodyBytesMax: 7, encode: () => 0 }';
    for (const source of [object, `() => (${object})`, `async () => (${object})`]) {
      expect((await loadEncoder(moduleOf(`export default ${source}`))).bodyBytesMax).toBe(7);
    }
  });

  test('export a framing', async () => {
    const source = `export default { headerBytes: 0, writeHeader() {}, disconnect: () => new Uint8Array(0),
      heartbeat: new Uint8Array(1), endOfBatch: new Uint8Array(0), serverBusy: new Uint8Array(0) }`;
    expect((await loadFraming(moduleOf(source))).headerBytes).toBe(0);
  });

  test.each([
    ['is not there', 'file:///no/such/module.mjs'],
    ['has no default export', moduleOf('export const encoder = 1')],
    ['throws', moduleOf('throw new Error("at once")')],
    ['makes nothing', moduleOf('export default () => null')],
    ['fails to make one', moduleOf('export default async () => { throw new Error("later") }')],
    ['is no module', moduleOf('export default {')],
  ])('are refused when the module %s', async (_, url) => {
    await expect(loadEncoder(url)).rejects.toMatchObject({ code });
    await expect(loadFraming(url)).rejects.toMatchObject({ code });
    await expect(loadEncoder(url)).rejects.toThrow(url.slice(0, 40));
  });
});
