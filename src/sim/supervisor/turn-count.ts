import { type ClientProtocol, lengthPrefixProtocol } from '../../supervisor/protocol.js';
import type { Broken } from './invariants.js';

/** Frames of one connection that may be taken before others have their turn. */
const framesPerTurnMax = 32;

/** The shipped protocol, which counts what each connection has decoded in a turn. */
export function countingProtocol(broken: Broken): { protocol: ClientProtocol; next: () => void } {
  let turn = 0;
  const protocol: ClientProtocol = {
    ...lengthPrefixProtocol,
    decoder(bodyBytesMax) {
      const decoder = lengthPrefixProtocol.decoder(bodyBytesMax);
      let lastTurn = -1;
      let taken = 0;
      return {
        push: (chunk) => decoder.push(chunk),
        next() {
          const body = decoder.next();
          if (body === null) return null;
          if (lastTurn !== turn) taken = 0;
          lastTurn = turn;
          if (++taken === framesPerTurnMax + 1)
            broken('S13', `more than ${framesPerTurnMax} frames in one turn`);
          return body;
        },
        get fault() {
          return decoder.fault;
        },
        get heldBytes() {
          return decoder.heldBytes;
        },
      };
    },
  };
  return {
    protocol,
    next: () => {
      turn++;
    },
  };
}
