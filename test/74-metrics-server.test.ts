import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { InMemoryStore } from '#ackgate/directives/index.js';
import { monotonicNow } from '#ackgate/index.js';
import { createPrometheusRegistry } from '#ackgate/metrics/index.js';
import { supervise } from '#ackgate/supervisor/index.js';
import { withVariables } from './support/promql.js';
import { answer, Rig } from './support/stage.js';

const hasPrometheus = spawnSync('prometheus', ['--version']).status === 0;
if (!hasPrometheus) console.warn('nothing is scraped here: Prometheus is not installed');

const dashboard = JSON.parse(readFileSync(new URL('../dashboards/ackgate.json', import.meta.url), 'utf8'));

interface Graph {
  title: string;
  targets?: { expr: string }[];
}

/** Serves the text of each scrape; returns the port. */
async function serve(metrics: () => Promise<string>, contentType: string): Promise<number> {
  const server = createServer(async (_, response) => {
    response.setHeader('Content-Type', contentType);
    response.end(await metrics());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** What its HTTP API answers. */
interface Answer {
  status: string;
  error?: string;
  data?: { result: unknown[] };
}

/** A Prometheus that scrapes this port; returns how to ask it. */
async function startPrometheus(target: number) {
  const directory = mkdtempSync(join(tmpdir(), 'ackgate-prometheus-'));
  const job = { job_name: 'orders', static_configs: [{ targets: [`127.0.0.1:${target}`] }] };
  const config = { global: { scrape_interval: '500ms' }, scrape_configs: [job] };
  writeFileSync(join(directory, 'prometheus.yml'), JSON.stringify(config));
  const port = await freePort();
  const args = [
    `--config.file=${join(directory, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(directory, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  const child: ChildProcess = spawn('prometheus', args, { stdio: 'ignore' });
  const ended = once(child, 'exit');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
    rmSync(directory, { recursive: true, force: true });
  });
  return async function ask(expr: string): Promise<{ status: string; error?: string; found: number }> {
    const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expr)}`;
    const { status, error, data } = (await (await fetch(url)).json()) as Answer;
    return { status, ...(error && { error }), found: data?.result.length ?? 0 };
  };
}

/** Polls Prometheus, which does not answer at first, until it finds this. */
async function untilFound(
  ask: (expr: string) => Promise<{ found: number }>,
  expr: string,
  meanwhile = async () => {},
): Promise<void> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const { found } = await ask(expr).catch(() => ({ found: 0 }));
    if (found > 0) return;
    if (performance.now() > deadline) throw new Error(`Prometheus never had ${expr}`);
    await meanwhile();
    await sleep(20);
  }
}

test.skipIf(!hasPrometheus)(
  'a real Prometheus scrapes a real stage, and every panel has something to show',
  async () => {
    const rig = await Rig.start({ backend: 'posix', policy: 'hybrid' });
    const { stage } = rig;
    const store = new InMemoryStore();
    store.publish([{ id: 'all', level: 'capture', expiresAt: Date.now() + 60_000 }]);
    stage.diagnosis.follow(store);
    const replica = stage.cursors.node('two');
    replica.connect({ persisted: 0 });
    const journal = { lastSequence: 0, primaryCursor: 0 };
    const supervisor = supervise(new Server(), { stage, onFrame: () => {}, signals: false });
    const { metrics, contentType } = createPrometheusRegistry(stage, { journal, supervisor });
    const ask = await startPrometheus(await serve(metrics, contentType));

    const { id, client } = await rig.attach();
    async function answerTo(seq: number): Promise<void> {
      journal.lastSequence = seq;
      const receivedNs = monotonicNow();
      stage.producer.tryPublish({ connectionId: id, wireSeq: seq, payload: answer(seq), receivedNs });
      stage.cursors.primary.advance(seq);
      journal.primaryCursor = seq;
      replica.advance({ inMemory: seq, persisted: seq });
      await client.untilAnswers(seq);
    }
    let answered = 0;
    // Rates and means need something to have happened between two scrapes.
    await untilFound(ask, 'changes(ackgate_records_released_total[1m]) >= 3', () => answerTo(++answered));
    // The last one waits.
    rig.publish({ id, seq: answered + 1 });
    journal.lastSequence++;
    await untilFound(ask, 'ackgate_waiting_sequence > 0');

    for (const { title, targets = [] } of dashboard.panels as Graph[]) {
      for (const { expr } of targets) {
        const { status, error, found } = await ask(withVariables(expr));
        expect(error, title).toBeUndefined();
        expect(status, title).toBe('success');
        expect(found, `${title}: ${expr}`).toBeGreaterThan(0);
      }
    }
  },
);
