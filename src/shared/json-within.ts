const encoder = new TextEncoder();

/** JSON of `value` in UTF-8, at most `bytesMax` of them: texts inside are cut shorter until it fits. */
export function jsonWithin(value: unknown, bytesMax: number): Uint8Array {
  for (let charsMax = bytesMax; ; charsMax = Math.floor(charsMax / 2)) {
    const bytes = encoder.encode(JSON.stringify(value, (_, part) => shortened(part, charsMax)));
    if (bytes.length <= bytesMax) return bytes;
    if (charsMax === 0) throw new Error(`no JSON of at most ${bytesMax} bytes can be made`);
  }
}

function shortened(part: unknown, charsMax: number): unknown {
  return typeof part === 'string' && part.length > charsMax ? `${part.slice(0, charsMax)}…` : part;
}
