import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readSamples, SampleLog } from '#ackgate/soak/report/sample-log.js';
import { soakRecord } from './support/soak-result.js';

const directory = mkdtempSync(join(tmpdir(), 'ackgate-samples-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
let folders = 0;
const folder = () => {
  const path = join(directory, String(folders++));
  mkdirSync(path);
  return path;
};
const fileOf = (path: string) => join(path, 'samples.ndjson');

const { samples } = soakRecord({ durationSeconds: 60, sampleSeconds: 5 });
const header = {
  repeat: 'ackgate soak \'my "file"\' --seed 7',
  seed: 7,
  startedAt: '2026-03-01T12:00:00.000Z',
};
const first = JSON.stringify({ ackgate: 'soak samples', version: 1, ...header });
const opened = (path: string, resume = false) => SampleLog.open(path, { resume, header });

describe('samples', () => {
  it('come back as they were written', () => {
    const path = folder();
    const log = opened(path);
    for (const [i, sample] of samples.entries()) {
      log.append(sample);
      // A crash at any time loses none that was appended.
      expect(readSamples(path)).toHaveLength(i + 1);
    }
    log.close();
    log.close();
    log.append(samples[0]!);
    expect(readSamples(path)).toEqual(samples);
    opened(path).close();
    expect(readSamples(path)).toEqual([]);
    expect(readSamples(folder())).toEqual([]);
  });

  it('have a header in front, which says how to repeat the run and is kept when it is resumed', () => {
    const path = join(folder(), 'new');
    opened(path).close();
    expect(readFileSync(fileOf(path), 'utf8')).toBe(`${first}\n`);
    const other = { repeat: 'another', seed: 8, startedAt: 'later' };
    const log = SampleLog.open(path, { resume: true, header: other });
    log.append(samples[0]!);
    log.close();
    expect(readFileSync(fileOf(path), 'utf8')).toBe(`${first}\n${JSON.stringify(samples[0])}\n`);
    SampleLog.open(path, { resume: false, header: other }).close();
    expect(JSON.parse(readFileSync(fileOf(path), 'utf8'))).toMatchObject(other);
  });

  it('get their header on resuming when a crash has left none, or half of it', () => {
    for (const left of ['', first.slice(0, 40), first]) {
      const path = folder();
      writeFileSync(fileOf(path), left);
      expect(readSamples(path)).toEqual([]);
      opened(path, true).close();
      expect(readFileSync(fileOf(path), 'utf8')).toBe(`${first}\n`);
    }
  });

  it('with a last line without an end leave that out, and it is cut off before the next one', () => {
    const path = folder();
    const file = fileOf(path);
    const log = opened(path, true);
    for (const sample of samples.slice(0, 5)) log.append(sample);
    log.close();
    for (const torn of ['{"atMs":1', JSON.stringify(samples[5]), '\u0000\u0000', '{"kind":"ä']) {
      appendFileSync(file, torn);
      expect(readSamples(path)).toEqual(samples.slice(0, 5));
      opened(path, true).close();
      expect(readFileSync(file, 'utf8').endsWith('}\n')).toBe(true);
    }
    appendFileSync(file, 'torn');
    const second = opened(path, true);
    second.append(samples[5]!);
    second.close();
    expect(readSamples(path)).toEqual(samples.slice(0, 6));
  });

  it.each([
    ['no JSON', '{"atMs":', 'is not JSON'],
    ['nothing', '', 'is not JSON'],
    ['no sample', '{"atMs":5}', 'is no sample'],
    ['no object', '7', 'is no sample'],
    ['a header', first, 'is no sample'],
  ])('with a line in the middle that is %s are an error with its number', (_, line, problem) => {
    const path = folder();
    const good = JSON.stringify(samples[0]);
    writeFileSync(fileOf(path), [first, good, line, good, ''].join('\n'));
    expect(() => readSamples(path)).toThrow(
      expect.objectContaining({
        code: 'ERR_ACKGATE_INVALID_ARGUMENT',
        message: expect.stringMatching(new RegExp(`^line 3 of .*samples\\.ndjson ${problem}`)),
      }),
    );
  });

  it.each([
    ['a sample', JSON.stringify(samples[0]), 'does not say that these are soak samples'],
    ['no object', 'null', 'does not say that these are soak samples'],
    ['not JSON', 'atMs,phase', 'is not JSON'],
    ['of another version', first.replace('"version":1', '"version":2'), 'says version 2, not 1'],
    ['of no version', first.replace('"version":1,', ''), 'says version undefined, not 1'],
  ])('with a first line that is %s are refused', (_, line, problem) => {
    const path = folder();
    writeFileSync(fileOf(path), `${line}\n`);
    expect(() => readSamples(path)).toThrow(
      expect.objectContaining({
        code: 'ERR_ACKGATE_INVALID_ARGUMENT',
        message: expect.stringMatching(new RegExp(`^line 1 of .*samples\\.ndjson ${problem}`)),
      }),
    );
  });
});

/** Descriptors of this process that are open on it. */
const openOn = (target: string) =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === target;
    } catch {
      return false;
    }
  }).length;

describe('a disk that takes nothing more', () => {
  it('is an error of the beginning, which leaves nothing open', () => {
    const path = folder();
    symlinkSync('/dev/full', fileOf(path));
    const before = openOn('/dev/full');
    expect(() => opened(path)).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
    expect(openOn('/dev/full')).toBe(before);
  });

  it('is an error of the end, which leaves nothing open', () => {
    const path = folder();
    // Takes everything, and can't be synchronized.
    symlinkSync('/dev/null', fileOf(path));
    const before = openOn('/dev/null');
    const log = opened(path);
    log.append(samples[0]!);
    expect(openOn('/dev/null')).toBe(before + 1);
    expect(() => log.close()).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    expect(openOn('/dev/null')).toBe(before);
    log.close();
  });

  it('is an error of each sample from then on, also when there is room again', () => {
    const path = folder();
    writeFileSync(join(path, 'samples.json'), JSON.stringify(samples));
    const program = `
      import { readFileSync, truncateSync } from 'node:fs';
      import { SampleLog } from '#ackgate/soak/report/sample-log.js';
      const [path] = process.argv.slice(-1);
      const samples = JSON.parse(readFileSync(path + '/samples.json'));
      const log = SampleLog.open(path, { resume: false, header: { repeat: '', seed: 1, startedAt: '' } });
      const errors = [];
      let kept = 0;
      for (const sample of samples) {
        try {
          log.append(sample);
          kept++;
        } catch (error) {
          errors.push(error);
        }
      }
      const written = readFileSync(path + '/samples.ndjson');
      // Room for what would have come behind half a line.
      truncateSync(path + '/samples.ndjson', written.lastIndexOf(10) + 5);
      try {
        log.append({});
      } catch (error) {
        errors.push(error);
      }
      log.close();
      const { code } = errors[0];
      const same = errors.every((error) => error === errors[0]);
      console.log(JSON.stringify({ kept, code, same, errors: errors.length, bytes: written.length }));
    `;
    const limitKiB = 3;
    const script = `ulimit -f ${limitKiB}; exec "$0" --input-type=module -e "$1" "$2"`;
    const said = JSON.parse(
      execFileSync('bash', ['-c', script, process.execPath, program, path], { encoding: 'utf8' }),
    );
    const { kept, errors } = said;
    expect(said).toMatchObject({ code: 'EFBIG', same: true, bytes: limitKiB * 1024 });
    expect(kept).toBeGreaterThan(0);
    expect(kept).toBeLessThan(samples.length);
    expect(errors).toBe(samples.length - kept + 1);
    expect(readSamples(path)).toEqual(samples.slice(0, kept));
  });
});
