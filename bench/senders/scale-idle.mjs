// What a connection costs in memory while nothing happens on it. The sockets are open before the first figure is taken,
// so what differs later is the stage's: once they are attached, once each has had one answer, and once many others have
// come and gone.
//
//   handover CONNECTIONS+64 node --expose-gc bench/senders/scale-idle.mjs BACKEND BYTES
//
// Commands: `sockets` (not attached yet), `attach`, `use`, `churn N` (others, N in all); each is answered with what is
// resident then.
import { closeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { allEnded } from '../support/all-ended.mjs';
import { inheritedSockets, serveCommands } from '../support/inherited.mjs';
import { startMeasuredStage } from '../support/measured-stage.mjs';
import { resident } from '../support/memory.mjs';

const recordsPerRound = 256;
const backend = process.argv[2];
const bodyBytes = Number(process.argv[3]);
const sockets = inheritedSockets();
/** They stay open, and serve for any number of connections. */
const others = sockets.splice(0, 64);
const { stage, publish, commit, measure } = await startMeasuredStage({
  connections: 16_384, // the default; what is reserved for all of them does not count for one
  backend,
  bodyBytes,
  recordsPerRound,
});

async function disconnect(ids) {
  const ended = allEnded(stage, ids.length);
  for (const id of ids) stage.disconnect(id, { when: 'now' });
  await ended;
}

const answerAll = (ids, answers) =>
  measure(ids.length * answers, () => {
    for (let record = 0; record < ids.length * answers; ) {
      publish(ids[record++ % ids.length]);
      if (record % recordsPerRound === 0) commit();
    }
    commit();
  });

/** So that the first figure has in it what no connection is to blame for: code, and the output ring. */
async function warmUp() {
  const guests = others.map((fd) => stage.attach(fd));
  for (let i = 0; i < 20; i++) await answerAll(guests, 16);
  await disconnect(guests);
}

await warmUp();
let ids = [];
await serveCommands(
  {},
  {
    sockets: resident,
    async attach() {
      ids = sockets.map((fd) => {
        const id = stage.attach(fd);
        closeSync(fd); // The stage has its own.
        return id;
      });
      while (stage.status().connections < ids.length) await sleep(1);
      return resident();
    },
    async use() {
      await answerAll(ids, 1);
      return resident();
    },
    async churn(count) {
      for (let gone = 0; gone < count; gone += others.length) {
        const guests = others.map((fd) => stage.attach(fd));
        await disconnect(guests);
      }
      return resident();
    },
  },
);
