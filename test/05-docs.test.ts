import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type DurabilityMode, modeToPolicy } from '#ackgate/policy/index.js';
import { Producer } from '#ackgate/ring/index.js';
import { missingFiles } from '../scripts/support/doc-checks.mjs';
import { commandLine, shownCalls, unknownIn } from './support/command-lines.js';

const root = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const pages = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'));
const everyPage = ['README.md', 'CONTRIBUTING.md', ...pages.map((name) => `docs/${name}`)];
const questionOf = (name: string) =>
  /^# .+\n\n\*([^*\n]+\?)\*\n/.exec(read(`docs/${name}`).replace(/^<!--.*-->\n\n/, ''))?.[1];

describe('the pages of docs/', () => {
  const index = read('docs/README.md').split('\n');

  test.each(pages)('%s opens with the question that it answers', (name) => {
    expect(questionOf(name)).toBeDefined();
  });

  test.each(pages.filter((name) => name !== 'README.md'))('%s is in the index, with its question', (name) => {
    const row = `](${name}) | ${questionOf(name)} |`;
    expect(
      index.some((line) => line.endsWith(row)),
      row,
    ).toBe(true);
  });
});

describe('what the pages tell to run', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const program = commandLine();

  test.each(everyPage)('npm scripts of %s exist', (path) => {
    const named = [...read(path).matchAll(/npm (?:run )?(start|test|(?<=run )[a-z][\w:-]*)/g)].map(
      ([, name]) => name!,
    );
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });

  test.each(everyPage)('commands and options of %s exist', (path) => {
    const wrong = shownCalls(read(path)).filter((call) => unknownIn(program, call).length > 0);
    expect(wrong).toEqual([]);
  });

  test('is found wrong where it is', () => {
    const page =
      'Run `npx ackgate sim mutants --sedes 5` or\n```sh\n$ ackgate bench   # figures\nackgate replica --name a\n```\n';
    expect(shownCalls(page)).toEqual(['sim mutants --sedes 5', 'bench', 'replica --name a']);
    expect(shownCalls(page).map((call) => unknownIn(program, call))).toEqual([['--sedes'], ['bench'], []]);
  });
});

test('files that a page names and that there are not are found', () => {
  const page =
    'See `src/index.ts`, `docs/NONE.md`.\n```sh\nnode `bench/none.mjs`\n```\n`scripts/none.mjs --all` `src/none.ts`\n';
  const exists = (path: string) => existsSync(join(root, path));
  expect(missingFiles('page.md', page, exists)).toEqual([
    'page.md:1: there is no docs/NONE.md',
    'page.md:5: there is no scripts/none.mjs',
    'page.md:5: there is no src/none.ts',
  ]);
});

describe('docs/OPTIONS.md', () => {
  const rows = [...read('docs/OPTIONS.md').matchAll(/^\| `([\w.]+)` \| ([^|]+) \|/gm)];
  const shown = new Map(rows.map(([, name, value]) => [name!, value!.trim()]));

  test('lists every option of startStage, and no other', async () => {
    const { checkOptions } = await import('#ackgate/stage/options.js');
    const known = (options: object) => {
      try {
        checkOptions(options as never);
      } catch (error) {
        return /known are (.*)$/.exec((error as Error).message)![1]!.split(', ');
      }
      throw new Error('an unknown option was accepted');
    };
    const flat = known({ aNameThatNobodyChose: 1 }).flatMap((name) =>
      name === 'ring' || name === 'diagnosis'
        ? known({ [name]: { aNameThatNobodyChose: 1 } }).map((inner) => `${name}.${inner}`)
        : [name],
    );
    expect([...shown.keys()].sort()).toEqual(flat.sort());
  });

  test('states the defaults', async () => {
    const { checkOptions } = await import('#ackgate/stage/options.js');
    const { limits, ...checked } = checkOptions({});
    const inForce: Record<string, unknown> = {
      ...limits,
      heartbeatIntervalMs: limits.heartbeatIntervalNs / 1e6,
      blockedTimeoutMs: limits.blockedTimeoutNs / 1e6,
      blockedTotalMs: limits.blockedTotalNs / 1e6,
      staleAfterMs: limits.staleAfterNs / 1e6,
      flushDelayUs: limits.flushDelayNs / 1e3,
      ...checked,
      policy: checked.policy.mode,
      ...Object.fromEntries(Object.entries(checked.ring).map(([name, value]) => [`ring.${name}`, value])),
      ...Object.fromEntries(
        Object.entries(checked.diagnosis).map(([name, value]) => [`diagnosis.${name}`, value]),
      ),
    };
    for (const [name, text] of shown) {
      const plain = text.replaceAll(/[,'`]/g, '');
      if (plain === 'none' || plain === 'length prefix') continue;
      expect(String(inForce[name]), name).toBe(plain);
    }
  });
});

test.each(['README.md', 'docs/POLICIES.md'])('the modes of %s are those of the code', (path) => {
  const rows = [...read(path).matchAll(/^\| `([a-z-]+)` +\| `([^`]+)` +\|/gm)];
  expect(rows).toHaveLength(4);
  for (const [, mode, text] of rows) expect(modeToPolicy(mode as DurabilityMode).toString()).toBe(text);
});

test('the encoder of docs/WIRE.md does what the page says', async () => {
  const mark = '<!-- test: this encoder is run word for word -->\n```js\n';
  const block = read('docs/WIRE.md').split(mark)[1]!.split('```')[0]!;
  const folder = await mkdtemp(join(tmpdir(), 'ackgate-docs-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'encoder.mjs'), block);

  const { loadEncoder } = await import('#ackgate/encode/encoder.js');
  const { Consumer, createRing } = await import('#ackgate/ring/index.js');
  const encoder = await loadEncoder(pathToFileURL(join(folder, 'encoder.mjs')).href);
  const ring = createRing({ capacity: 4, maxPayload: 64 });
  new Producer(ring).tryPublish({
    connectionId: 1,
    wireSeq: 1,
    payload: Uint8Array.of(7, 0, 0, 0, 100, 0, 0, 0),
  });
  const out = new Uint8Array(encoder.bodyBytesMax);
  let length = 0;
  new Consumer(ring).poll((record) => {
    length = encoder.encode(record, out);
    return true;
  });
  expect(Buffer.from(out.subarray(0, length)).toString()).toBe('\x107 filled 100');
});
