import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

function ackgate(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

/** Standard output has to be one JSON document and nothing else. */
function ackgateJson(...args: string[]) {
  const { status, stdout, stderr } = ackgate(...args, '--json');
  expect(stderr).toBe('');
  expect(stdout.endsWith('\n')).toBe(true);
  return { status, document: JSON.parse(stdout) };
}

describe('ackgate policy', () => {
  test('prints position, degraded, who binds and the replica cursor', () => {
    const result = ackgate(
      'policy',
      'persisted>=2',
      '--primary',
      '500',
      '--replica',
      '480/480',
      '--replica',
      '10/0',
    );
    expect(result).toEqual({
      status: 0,
      stderr: '',
      stdout: [
        'policy          persisted>=2',
        'position        480',
        'degraded        no',
        'who binds       replication (replica 1, by persisted>=2)',
        'replica cursor  480 (replica 1)',
        '',
      ].join('\n'),
    });
  });

  test('takes zones, and says what is missing when it is degraded', () => {
    const args = ['policy', 'persisted>=2 zones', '--primary', '500/rack/1', '--replica', '490/490/rack/1'];
    const alone = ackgate(...args);
    expect(alone.status).toBe(0);
    expect(alone.stdout).toMatch(/^position +0$/m);
    expect(alone.stdout).toMatch(/^degraded +yes: persisted>=2 zones needs 2 zones, there is 1$/m);
    expect(alone.stdout).toMatch(/^who binds +nobody$/m);
    const two = ackgate(...args, '--replica', '400/300/rack/2');
    expect(two.stdout).toMatch(/^position +300$/m);
    expect(ackgate('policy', 'ram', '--primary', '5').stdout).toMatch(/needs 2 nodes, there is 1$/m);
  });

  test('a journal that binds, and the bound of nothing', () => {
    const journal = ackgate('policy', 'local', '--primary', '7');
    expect(journal.stdout).toMatch(/^who binds +journal \(the primary, by persisted>=1\)$/m);
    const unbounded = ackgate('policy', 'in_memory>=1', '--primary', '7');
    expect(unbounded.status).toBe(0);
    expect(unbounded.stdout).toMatch(/^position +unbounded$/m);
    expect(unbounded.stdout).toMatch(/^warning /m);
  });

  test.each([
    [
      ['persisted >= 2', '--primary', '500', '--replica', '480/480'],
      {
        policy: 'persisted>=2',
        durablePos: 480,
        degraded: false,
        blocker: 'replication',
        replicaCursor: 480,
      },
    ],
    [
      ['disk+ram', '--primary', '50', '--replica', '80/20'],
      {
        policy: 'persisted>=1 && in_memory>=2',
        durablePos: 50,
        degraded: false,
        blocker: 'journal',
        replicaCursor: 80,
      },
    ],
    [
      ['durably-replicated', '--primary', '9007199254740991'],
      { policy: 'persisted>=2', durablePos: 0, degraded: true, blocker: null, replicaCursor: null },
    ],
    [
      ['in_memory>=1', '--primary', '0'],
      {
        policy: 'in_memory>=1',
        durablePos: 'unbounded',
        degraded: false,
        blocker: null,
        replicaCursor: null,
      },
    ],
  ])('%j as JSON', (args, document) => {
    expect(ackgateJson('policy', ...args)).toEqual({ status: 0, document });
  });

  test('a bad policy text: where it is wrong, and 2', () => {
    const { status, stdout, stderr } = ackgate('policy', 'persisted>=1 && disk>=2', '--primary', '5');
    expect(status).toBe(2);
    expect(stdout).toBe('');
    const lines = stderr.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^error: policy clause 2 "disk>=2": unknown level "disk"/);
    expect(lines.slice(1)).toEqual(['  persisted>=1 && disk>=2', '                  ^']);
  });

  test.each([
    ['persisted>=1 &&', 15],
    ['persisted>=1.5', 11],
    ['hybird', 0],
    ['persisted>=1\n&& persisted>=2 racks', 29],
  ])('the caret of %j stands under position %i', (text, position) => {
    const { status, stderr } = ackgate('policy', text, '--primary', '5');
    expect(status).toBe(2);
    const [, shown, caret] = stderr.split('\n');
    expect(shown).toBe(`  ${text.replace('\n', ' ')}`);
    expect(caret).toBe(`  ${' '.repeat(position)}^`);
  });

  test('a bad policy text as JSON', () => {
    const { status, document } = ackgateJson('policy', 'persisted>=1 && disk>=2', '--primary', '5');
    expect(status).toBe(2);
    expect(document).toEqual({
      error: {
        code: 'ERR_ACKGATE_POLICY_UNKNOWN_LEVEL',
        message: expect.stringContaining('"disk>=2"'),
        position: 16,
      },
    });
  });

  test.each([
    [['local'], 'ERR_ACKGATE_INVALID_ARGUMENT', '--primary'],
    [['--primary', '5'], 'ERR_ACKGATE_INVALID_ARGUMENT', 'policy'],
    [['local', '--primary', '5', '--frob'], 'ERR_ACKGATE_UNKNOWN_OPTION', '--frob'],
    [['local', 'persisted>=1', '--primary', '5'], 'ERR_ACKGATE_INVALID_ARGUMENT', 'arguments'],
    [['local', '--primary', 'x'], 'ERR_ACKGATE_SEQUENCE', '--primary "x"'],
    [['local', '--primary', '-5'], 'ERR_ACKGATE_SEQUENCE', '--primary'],
    [['local', '--primary', '1.5'], 'ERR_ACKGATE_SEQUENCE', '--primary'],
    [['local', '--primary', ''], 'ERR_ACKGATE_SEQUENCE', '--primary'],
    [['local', '--primary', '9007199254740992'], 'ERR_ACKGATE_SEQUENCE', '--primary'],
    [['local', '--primary', '5/'], 'ERR_ACKGATE_INVALID_ARGUMENT', 'zone'],
    [['local', '--primary', '5', '--replica', '5'], 'ERR_ACKGATE_INVALID_ARGUMENT', '--replica "5"'],
    [['local', '--primary', '5', '--replica', '/5'], 'ERR_ACKGATE_SEQUENCE', '--replica "/5"'],
    [['local', '--primary', '5', '--replica', '5/x'], 'ERR_ACKGATE_SEQUENCE', '--replica "5/x"'],
    [['local', '--primary', '5', '--replica', '5/5/'], 'ERR_ACKGATE_INVALID_ARGUMENT', 'zone'],
    [
      ['local', '--primary', '5', ...Array.from({ length: 16 }, () => ['--replica', '1/1']).flat()],
      'ERR_ACKGATE_CLUSTER_FULL',
      '--replica',
    ],
  ])('the wrong call %j exits 2', (args, code, named) => {
    const text = ackgate('policy', ...args);
    expect(text.status).toBe(2);
    expect(text.stdout).toBe('');
    expect(text.stderr).toMatch(/^error: /);
    expect(text.stderr).toContain(named);
    expect(text.stderr).not.toMatch(/\n {4}at /);

    const { status, document } = ackgateJson('policy', ...args);
    expect(status).toBe(2);
    expect(document).toEqual({
      error: { code, message: expect.stringContaining(named), position: null },
    });
  });

  test('the largest cluster is taken', () => {
    const replicas = Array.from({ length: 15 }, () => ['--replica', '3/2']).flat();
    expect(ackgateJson('policy', 'persisted>=16', '--primary', '9', ...replicas).document.durablePos).toBe(2);
  });
});

describe('ackgate', () => {
  test('--version is the version of the package', () => {
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
    expect(ackgate('--version')).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
  });

  test.each([[['--help']], [['policy', '--help']]])('%j prints help and exits 0', (args) => {
    const { status, stdout, stderr } = ackgate(...args);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^Usage: ackgate/);
    expect(stderr).toBe('');
  });

  test.each([[[]], [['polcy']], [['--frob']]])('%j is a wrong call', (args) => {
    const { status, stdout, stderr } = ackgate(...(args as string[]));
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).not.toBe('');
  });

  test('evaluating a policy does not load the addon', () => {
    const program = `process.argv.splice(1, 0, 'ackgate'); await import(${JSON.stringify(main)});
      const { createRequire } = await import('node:module');
      const shared = process.report.getReport().sharedObjects.filter((name) => name.endsWith('.node'));
      process.stdout.write(JSON.stringify(shared));`;
    const args = ['--input-type=module', '-e', program, 'policy', 'local', '--primary', '5', '--json'];
    const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    const [document, shared] = stdout.split('\n');
    expect(JSON.parse(document).durablePos).toBe(5);
    expect(JSON.parse(shared)).toEqual([]);
  });
});
