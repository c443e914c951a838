import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, it, onTestFinished } from 'vitest';
import { checkOptions } from '#ackgate/stage/options.js';
import { createControlledStage } from '#ackgate/stage/start-stage.js';
import { answer, Loopback, type RealBackend, realBackends, until } from './support/stage.js';

// A stage with nothing to do sleeps in the kernel. Whoever gives it something to do must end that sleep: a wake that
// is lost shows as a sleep of full length after which there was something to do all along.

const rounds = 20_000;

/** What the host counts: sleeps, those of full length, those after which there was work, and lost wakes. */
interface Sleeps {
  all: number;
  full: number;
  late: number;
  lost: number;
}

async function startParking(backend: RealBackend, deaf = false) {
  const checked = checkOptions({ connections: 4, heartbeatIntervalMs: 0, ring: { capacity: 64 } });
  const { stage, memory, wakeFd } = createControlledStage(checked);
  const sleeps = new Int32Array(new SharedArrayBuffer(16));
  const { limits } = checked;
  const worker = new Worker(new URL('./fixtures/stage-parking.mjs', import.meta.url), {
    workerData: { memory, wakeFd, limits, backend, deaf, sleeps },
  });
  worker.on('message', () => stage.drainEvents());
  await once(worker, 'message');
  const net = await Loopback.open('tcp');
  onTestFinished(async () => {
    const exited = once(worker, 'exit');
    void stage.close({ drainMs: 0 });
    await exited;
    stage.finish();
    await net.close();
  });
  const { near, client } = await net.connect();
  const id = stage.attach(near);
  const counted = (): Sleeps => ({ all: sleeps[0], full: sleeps[1], late: sleeps[2], lost: sleeps[3] });
  return { stage, client, id, counted };
}

/** A small generator: the same rounds every time. */
function seeded(seed: number) {
  let state = seed;
  return (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Some ten microseconds: the stage is looking for work, on its way to sleep, or asleep by then. */
function lingerFor(random: (below: number) => number) {
  const untilMs = performance.now() + random(40) / 1000;
  while (performance.now() < untilMs);
}

/**
 * Publishes, moves the cursor and pushes at moments that hit the stage anywhere on its way to sleep; goes on when the
 * client has all frames of the round. Returns the number of frames.
 */
async function pingPong(rig: Awaited<ReturnType<typeof startParking>>, count: number, seed: number) {
  const { stage, client, id } = rig;
  const random = seeded(seed);
  const payload = answer(1, 16);
  let seq = 0;
  let sent = 0;
  let got = () => {};
  client.socket.on('data', () => client.bodies.length >= sent && got());
  for (let round = 0; round < count; round++) {
    const all = new Promise<void>((resolve) => {
      got = resolve;
    });
    const last = sent + 1 + random(4);
    while (sent < last) {
      lingerFor(random);
      const kind = random(3);
      sent++;
      if (kind === 0) stage.push(id, payload);
      else {
        stage.producer.tryPublish({ connectionId: id, wireSeq: kind === 1 ? 0 : ++seq, payload });
        if (kind === 2) {
          lingerFor(random);
          stage.cursors.primary.advance(seq);
        }
      }
    }
    await all;
  }
  return sent;
}

/** A busy machine may keep a thread from running for as long as a sleep lasts; losing wakes is another matter. */
function expectNoLostWake({ all, late, lost }: Sleeps, count: number) {
  expect(all).toBeGreaterThan(count / 4);
  expect(lost).toBe(0);
  expect(late).toBeLessThan(count / 100);
}

describe.each(realBackends)('a parked stage, %s', (backend) => {
  it(`is woken by publishes, cursors and pushes of the control thread, ${rounds} times`, async () => {
    const rig = await startParking(backend);
    const sent = await pingPong(rig, rounds, 1);
    expect(rig.client.bodies).toHaveLength(sent);
    expectNoLostWake(rig.counted(), rounds);
  });

  it(`is woken by publishes and cursors of another thread, ${rounds} times`, async () => {
    const { stage, client, id, counted } = await startParking(backend);
    const received = new Int32Array(new SharedArrayBuffer(4));
    client.socket.on('data', () => {
      Atomics.store(received, 0, client.bodies.length);
      Atomics.notify(received, 0);
    });
    const worker = new Worker(new URL('./fixtures/stage-ping.mjs', import.meta.url), {
      workerData: { handle: stage.share(), connectionId: id, rounds, seed: 2, received },
    });
    const [code] = await once(worker, 'exit');
    expect(code).toBe(0);
    expect(client.bodies.length).toBeGreaterThan(rounds);
    expectNoLostWake(counted(), rounds);
  });

  it('whose wakes are all lost is noticed by this very test', async () => {
    const rig = await startParking(backend, true);
    await pingPong(rig, 60, 3);
    expect(rig.counted().late).toBeGreaterThan(60 / 10);
  });

  it('sleeps for no longer than 50 ms at a time, and hardly works', async () => {
    const { stage } = await startParking(backend);
    await until('it has gone to sleep', () => stage.status().parks > 2);
    const before = stage.status();
    await until('a second has passed', () => stage.status().statusNs > before.statusNs + 1e9);
    const after = stage.status();
    const parks = after.parks - before.parks;
    expect(parks).toBeGreaterThan(5);
    // A round or two per sleep: anything more is a stage that spins.
    expect(after.rounds - before.rounds).toBeLessThan(parks * 4);
    expect(parks).toBeLessThan(200);
  });
});
