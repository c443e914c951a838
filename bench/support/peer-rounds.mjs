import { Peer } from './reference.mjs';

/**
 * Asks programs for one figure a round, in turn, so that what else the machine does falls on all of them alike; each is
 * a process of its own, so that none runs code that was compiled for another. `programs`: name → argv. The first round
 * only warms up. Returns name → figures.
 */
export async function peerRounds(programs, rounds) {
  const peers = new Map();
  const samples = Object.fromEntries(Object.keys(programs).map((name) => [name, []]));
  try {
    for (const [name, argv] of Object.entries(programs)) {
      const peer = new Peer(argv);
      peers.set(name, peer);
      await peer.answer();
    }
    for (let round = 0; round <= rounds; round++) {
      for (const [name, peer] of peers) {
        const figure = await peer.ask('round');
        if (round > 0) samples[name].push(figure);
      }
    }
  } finally {
    await Promise.all(Array.from(peers.values(), (peer) => peer.close()));
  }
  return samples;
}
