// The whole stage in its Worker, as users run it; this thread is the matching engine that feeds it.
//
//   node bench/senders/stage.mjs CONNECTIONS BACKEND BYTES RECORDS_PER_ROUND [OPTIONS]
//
// OPTIONS: further options of the stage, as JSON.
import { startMeasuredStage } from '../support/measured-stage.mjs';
import { acceptConnections, serveRounds } from '../support/sender.mjs';

const [count, backend, bytes, records, options = '{}'] = process.argv.slice(2);
const connections = Number(count);
const { stage, thread, publish, commit, measure } = await startMeasuredStage({
  connections,
  backend,
  bodyBytes: Number(bytes),
  recordsPerRound: Number(records),
  options: JSON.parse(options),
});
const ids = (await acceptConnections(connections)).map((socket) => stage.attach(socket));

function publishRound(frames, grouped) {
  if (grouped) {
    for (const id of ids) for (let i = 0; i < frames; i++) publish(id);
  } else {
    for (let i = 0; i < frames; i++) for (const id of ids) publish(id);
  }
  commit();
}

await serveRounds((rounds, frames, _, grouped) => {
  const publishAll = () => {
    for (let round = 0; round < rounds; round++) publishRound(frames, grouped);
  };
  return measure(rounds * frames * connections, publishAll);
}, thread);
