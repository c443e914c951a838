// The server of bench/79-churn.mjs: answers each request with its own body, under a sequence that a journal which
// commits once a millisecond makes durable, and sends as many pushes before as the request asks for. Commands, each
// answered with one line of JSON:
//
//   measure CLIENTS   waits until only so many connections are left, and nothing of the others, then says what it holds
//   stop              shuts down
//
//   node --expose-gc bench/senders/churn-server.mjs
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { startStage } from 'ackgate';
import { PushDisconnected, supervise } from 'ackgate/supervisor';
import { RequestAt } from '../support/churn-protocol.mjs';
import { resident } from '../support/memory.mjs';

/** A bound against waiting forever for what never comes back. */
const settleMs = 30_000;
const pushed = Buffer.from('are you still there?');

const stage = await startStage({ connections: 1024 });
const { producer, cursors } = stage;
const pushes = { replied: 0, disconnected: 0, failed: 0 };
let sequence = 0;
const journal = setInterval(() => cursors.primary.advance(sequence), 1);

function push(connection) {
  connection
    .push(pushed)
    .receive()
    .then(
      () => pushes.replied++,
      (error) => {
        if (error instanceof PushDisconnected) pushes.disconnected++;
        else pushes.failed++;
      },
    );
}

const server = createServer({ noDelay: true });
const supervisor = supervise(server, {
  stage,
  limits: { connections: 1024 },
  signals: false,
  onFrame(connection, body) {
    for (let i = 0; i < body[RequestAt.pushes]; i++) push(connection);
    const result = producer.tryPublish({ connectionId: connection.id, wireSeq: ++sequence, payload: body });
    if (result !== 'ok') throw new Error(`the answer could not be published: ${result}`);
  },
});

/** What must be back where it was once the churned connections are gone. */
function held() {
  const { active, permits, handling, pendingPushes } = supervisor.status();
  return {
    fds: readdirSync('/proc/self/fd').length,
    slots: stage.status().connections,
    active,
    permits,
    pendingPushes,
    handling,
  };
}

async function measure(clients) {
  const until = performance.now() + settleMs;
  for (;;) {
    const { slots, active, permits, pendingPushes, handling } = held();
    const settled = slots === clients && active === clients && permits === clients;
    if ((settled && pendingPushes === 0 && handling === 0) || performance.now() > until) break;
    await sleep(5);
  }
  const { rss, heap } = await resident();
  const { spawned, ended, refused, requests } = supervisor.status();
  return { ...held(), rss, heap, spawned, requests, ended, refused, pushes };
}

server.listen({ port: 0, host: '127.0.0.1', backlog: 1024 });
await once(server, 'listening');
console.log(JSON.stringify({ port: server.address().port }));

for await (const line of createInterface({ input: process.stdin })) {
  const [command, clients] = line.split(' ');
  if (command === 'stop') break;
  if (command !== 'measure') throw new Error(`unknown command: ${line}`);
  console.log(JSON.stringify(await measure(Number(clients))));
}
await supervisor.shutdown({ drainMs: 1000 });
clearInterval(journal);
console.log(JSON.stringify({ stopped: true }));
process.exit(0);
