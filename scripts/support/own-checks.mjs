import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { missingEntries } from './lock.mjs';
import { root } from './run.mjs';

const verdict = (problems) => ({ ok: problems.length === 0, log: problems.join('\n') });
const readText = (path) => readFileSync(join(root, path), 'utf8');

/** What no file of the project may say: a place on somebody's machine, or a server that packages come from. */
const forbiddenWords = {
  'a package registry': /registry\.(npmjs|yarnpkg|npmmirror)\.|"resolved":\s"http|npm\.pkg\.github/,
  'a folder of one machine': /(?<![\w.-])\/(work|root|home\/\w+|Users\/\w+)\/[\w.]/,
  'a folder outside of the project': /\.\.\/shared\/(design|style|spec|reference|vectors|hooks)\b/,
};

/** The files that are, or would be, committed. */
const projectFiles = () =>
  execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], { cwd: root, encoding: 'utf8' })
    .split('\0')
    .filter((path) => path !== '' && existsSync(join(root, path)));

/** Places in `text` that say something forbidden, as `path:line: what`. */
export function forbiddenIn(path, text) {
  return text.split('\n').flatMap((line, index) =>
    Object.entries(forbiddenWords)
      .filter(([, pattern]) => pattern.test(line))
      .map(([what]) => `${path}:${index + 1}: names ${what}`),
  );
}

export async function checkWords() {
  return verdict(projectFiles().flatMap((path) => forbiddenIn(path, readText(path))));
}

/** Differences between the codes of src/errors.ts and those that start a row of the table in docs/ERRORS.md. */
export function errorCodeProblems(codes, markdown) {
  const rows = [...markdown.matchAll(/^\| *`(ERR_ACKGATE_\w+)`/gm)].map(([, code]) => code);
  const twice = rows.filter((code, index) => rows.indexOf(code) !== index);
  return [
    ...codes.filter((code) => !rows.includes(code)).map((code) => `${code} has no row`),
    ...rows.filter((code) => !codes.includes(code)).map((code) => `${code} is not a code of src/errors.ts`),
    ...twice.map((code) => `${code} has more than one row`),
  ];
}

export async function checkErrorCodes() {
  if (!existsSync(join(root, 'docs/ERRORS.md'))) return { ok: false, log: 'docs/ERRORS.md does not exist' };
  const { ackgateErrorCodes } = await import('../../dist/errors.js');
  return verdict(errorCodeProblems(ackgateErrorCodes, readText('docs/ERRORS.md')));
}

/** Dependencies that are not one exact version. */
export function looseVersions(manifest) {
  return Object.entries({
    ...manifest.dependencies,
    ...manifest.devDependencies,
    ...manifest.optionalDependencies,
  })
    .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
    .map(([name, version]) => `${name}: "${version}" is not one version`);
}

export async function checkPinned() {
  return verdict(looseVersions(JSON.parse(readText('package.json'))));
}

export async function checkLock() {
  const missing = missingEntries(JSON.parse(readText('package-lock.json')));
  return verdict(missing.map(({ name }) => `${name} has no entry: run node scripts/complete-lock.mjs`));
}
