// The stage with many connections of which each round answers only a few: the same number whatever their count, the next
// ones in each round. The order is shuffled once, as no engine answers its clients in the order in which they came.
//
//   handover CONNECTIONS node bench/senders/scale-rounds.mjs BACKEND BYTES CONNECTIONS_PER_ROUND FRAMES
//
// Commands: `rounds N`.
import { closeSync } from 'node:fs';
import { inheritedSockets, serveCommands } from '../support/inherited.mjs';
import { startMeasuredStage } from '../support/measured-stage.mjs';
import { shuffled } from '../support/shuffled.mjs';

const backend = process.argv[2];
const [bodyBytes, perRound, frames] = process.argv.slice(3).map(Number);
const sockets = inheritedSockets();
const { stage, thread, publish, commit, measure } = await startMeasuredStage({
  connections: sockets.length,
  backend,
  bodyBytes,
  recordsPerRound: perRound * frames,
});
const ids = shuffled(
  sockets.map((fd) => {
    const id = stage.attach(fd);
    closeSync(fd); // The stage has its own.
    return id;
  }),
);
let next = 0;

function publishRounds(count) {
  for (let round = 0; round < count; round++) {
    for (let i = 0; i < perRound; i++) {
      for (let frame = 0; frame < frames; frame++) publish(ids[next]);
      next = next + 1 === ids.length ? 0 : next + 1;
    }
    commit();
  }
}

await serveCommands(
  { thread: Number(thread) },
  { rounds: (count) => measure(count * perRound * frames, () => publishRounds(count)) },
);
