import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fetchPinned } from '../scripts/support/binaries/pinned-package.mjs';

let folder: string;
/** Of a package that lies in a folder: npm packs that like one of a registry, without asking for one. */
let source: string;
let integrity: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ackgate-pinned-'));
  source = join(folder, 'source');
  mkdirSync(source);
  writeFileSync(join(source, 'package.json'), '{"name":"compiler","version":"1.0.0"}');
  writeFileSync(join(source, 'compiler'), 'a compiler');
  const said = execFileSync('npm', ['pack', source, '--json', '--pack-destination', folder], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  integrity = JSON.parse(said)[0].integrity;
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('a package that is fetched by its hash', () => {
  it('is there when it has that, and fetched twice no less', () => {
    const to = join(folder, 'tools/compiler-1.0.0');
    fetchPinned(source, integrity, to);
    expect(readFileSync(join(to, 'compiler'), 'utf8')).toBe('a compiler');
    fetchPinned(source, integrity, to);
    expect(readdirSync(join(folder, 'tools'))).toEqual(['compiler-1.0.0']);
  });

  it('is refused when it has another, and nothing of it is left', () => {
    writeFileSync(join(source, 'compiler'), 'a compiler that adds something');
    const to = join(folder, 'tools/compiler-1.0.0');
    expect(() => fetchPinned(source, integrity, to)).toThrow(`and not ${integrity}`);
    expect(existsSync(to)).toBe(false);
    expect(readdirSync(join(folder, 'tools'))).toEqual([]);
  });
});
