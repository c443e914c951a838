import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';

const root = join(import.meta.dirname, '../..');
const readText = (path: string) => readFileSync(join(root, path), 'utf8');

interface MarkedBlock {
  /** What the comment above it promises, behind `test: `. */
  readonly mark: string;
  readonly lines: readonly string[];
}

/** The code blocks of a page that stand under a comment `<!-- test: … -->`. */
export function markedBlocks(page: string): MarkedBlock[] {
  const blocks = readText(page).matchAll(/<!-- test: (.+) -->\n```\w*\n([\s\S]*?)\n```/g);
  return [...blocks].map(([, mark, text]) => ({ mark, lines: text.split('\n') }));
}

/** How many blocks of code, of these languages, a page has: marked or not. */
export function codeBlocks(page: string, ...languages: string[]): number {
  return [...readText(page).matchAll(/^```(\w+)$/gm)].filter(([, name]) => languages.includes(name)).length;
}

const excerptMark = /^each line is one of (\S+)$/;

/** The blocks that promise to be pieces of a file, each with that file. */
export function excerpts(page: string): { file: string; lines: readonly string[] }[] {
  return markedBlocks(page).flatMap(({ mark, lines }) => {
    const file = excerptMark.exec(mark)?.[1];
    return file === undefined ? [] : [{ file, lines }];
  });
}

/** Fails unless each line is one of the file, in the file's order. A `// …` stands for what is left out. */
export function expectExcerpt(file: string, lines: readonly string[]): void {
  const source = readText(file).split('\n');
  let at = 0;
  for (const line of lines) {
    if (line.trim() === '' || line.trim() === '// …') continue;
    const found = source.indexOf(line, at);
    expect(found, `${file} has no line behind line ${at} that is: ${line}`).toBeGreaterThanOrEqual(0);
    at = found + 1;
  }
}

/** The block of a page under `output of NAME`: its commands, and what each of them printed. */
export function outputs(page: string): Map<string, { command: string; printed: string[] }[]> {
  const all = new Map<string, { command: string; printed: string[] }[]>();
  for (const { mark, lines } of markedBlocks(page)) {
    const name = /^output of (\S+)$/.exec(mark)?.[1];
    if (name === undefined) continue;
    const steps: { command: string; printed: string[] }[] = [];
    for (const line of lines) {
      if (line.startsWith('$ ')) steps.push({ command: line.slice(2), printed: [] });
      else {
        if (steps.length === 0) steps.push({ command: '', printed: [] });
        steps.at(-1)!.printed.push(line);
      }
    }
    all.set(name, steps);
  }
  return all;
}

/** A line without what differs from run to run: figures, and how they are lined up. */
function shape(line: string): string {
  return line
    .replace(/\d[\d.,]*/g, '#')
    .replace(/\s+/g, ' ')
    .trim();
}

/** Fails unless the lines have the same shapes in this order. A line `…` stands for any number of lines. */
export function expectShape(actual: readonly string[], printed: readonly string[]): void {
  const pattern = printed.filter((line) => line.trim() !== '').map(shape);
  const shapes = actual.filter((line) => line.trim() !== '').map(shape);
  const source = pattern.map((line) => (line === '…' ? '(?:.*\n)*' : `${escaped(line)}\n`)).join('');
  const matched = new RegExp(`^${source}$`).test(shapes.map((line) => `${line}\n`).join(''));
  if (!matched) expect(shapes).toEqual(pattern);
}

/** An `…` inside a line stands for any text. */
function escaped(line: string): string {
  return line.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('…', '.*');
}
