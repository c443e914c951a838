// How fast connections come and go.
//
//   handover SOCKETS node bench/senders/scale-churn.mjs BACKEND
//
// Commands: `churn N` attaches the next N sockets and disconnects them at once; answered with the nanoseconds until the
// stage has all of them, and until all have ended.
import { closeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { startStage } from 'ackgate';
import { allEnded } from '../support/all-ended.mjs';
import { inheritedSockets, serveCommands } from '../support/inherited.mjs';

const sockets = inheritedSockets();
const stage = await startStage({ backend: process.argv[2], heartbeatIntervalMs: 0 });
stage.on('dropped', (event) => {
  throw new Error(`a connection was dropped: ${JSON.stringify(event)}`);
});

async function nsOf(act) {
  const startNs = process.hrtime.bigint();
  await act();
  return Number(process.hrtime.bigint() - startNs);
}

await serveCommands(
  {},
  {
    async churn(count) {
      const fds = sockets.splice(0, count);
      const ids = [];
      const attachNs = await nsOf(async () => {
        for (const fd of fds) ids.push(stage.attach(fd));
        while (stage.status().connections < count) await sleep(1);
      });
      for (const fd of fds) closeSync(fd); // Else a disconnected socket would stay open.
      const detachNs = await nsOf(() => {
        const ended = allEnded(stage, count);
        for (const id of ids) stage.disconnect(id, { when: 'now' });
        return ended;
      });
      // The status is some milliseconds old at times; the next round is to see what it has itself attached.
      while (stage.status().connections > 0) await sleep(1);
      return { count, attachNs, detachNs };
    },
  },
);
