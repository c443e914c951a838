import { connected } from './reference.mjs';

/** Rounds of responses that take about `roundMs`, found while the sender warms up. */
async function warmUp(sender, shape, { roundMs, warmUps }) {
  let count = 1;
  for (let i = 0; i < warmUps; ) {
    const { wallNs } = await sender.rounds(count, shape);
    const wanted = Math.ceil((count * roundMs * 1e6) / wallNs);
    if (wallNs > (roundMs * 1e6) / 4) i++;
    count = Math.max(1, Math.min(wanted, count * 8));
  }
  return count;
}

/**
 * What each of the programs made of its rounds, in turn, round after round, with clients of its own.
 *
 * @param programs by name: `argv`, and the `env` it wants
 * @param shape connections, frames, bytes, order
 */
export async function measureInTurn(programs, shape, { rounds, roundMs, warmUps }) {
  const senders = {};
  const samples = {};
  try {
    for (const [name, { argv, env }] of Object.entries(programs)) {
      senders[name] = await connected(argv, shape.connections, { env });
    }
    const counts = {};
    for (const [name, sender] of Object.entries(senders)) {
      counts[name] = await warmUp(sender, shape, { roundMs, warmUps });
      samples[name] = [];
    }
    for (let round = 0; round < rounds; round++) {
      for (const [name, sender] of Object.entries(senders)) {
        samples[name].push(await sender.rounds(counts[name], shape));
      }
    }
  } finally {
    await Promise.all(Object.values(senders).map((sender) => sender.close()));
  }
  return samples;
}

/** Nanoseconds of CPU per response. */
export const cpuNs = (result) => result.cpuNs / result.responses;
export const perSecond = (result) => (result.responses / result.wallNs) * 1e9;
