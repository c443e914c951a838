/** `length` bytes that tell their place and the seed. */
export function bytesOf(length: number, seed = 0): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = i * 31 + seed * 97 + (i >>> 8);
  return bytes;
}

/** The code of the error that the call throws; undefined when it throws none, or one without. */
export function codeOf(call: () => unknown): string | undefined {
  try {
    call();
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return undefined;
}
