import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { channels } from '#ackgate/stage/channels.js';

const top = fileURLToPath(new URL('..', import.meta.url));
const page = readFileSync(join(top, 'docs/LOGS.md'), 'utf8');
const levels = ['debug', 'info', 'warn', 'error'];

/** Messages that are made elsewhere, by the expression that stands in the call. */
const madeElsewhere: Record<string, string> = {
  'stage/response-stage.ts: fallback': 'Using the posix backend instead of io_uring: …',
  'supervisor/supervisor.ts: `connection ${outcome}`': 'connection …',
};
/** Calls that pass on a line which was written elsewhere. */
const passingOn = [
  'shared/safe-logger.ts',
  'stage/events.ts',
  'admin/audit.ts',
  'nats/nats-journal.ts',
  'postgres/start-writer.ts',
];
/** Methods that log, and with which level. */
const audits: Record<string, string> = { done: 'info', unconfirmed: 'warn' };

interface Line {
  level: string;
  messages: string[];
  where: string;
}

/** Texts that an expression can be: a literal, either branch of a condition, or a constant of the same file. */
function textsOf(expression: ts.Expression, file: ts.SourceFile): string[] {
  if (ts.isStringLiteralLike(expression)) return [expression.text];
  if (ts.isConditionalExpression(expression)) {
    return [...textsOf(expression.whenTrue, file), ...textsOf(expression.whenFalse, file)];
  }
  const texts: string[] = [];
  const visit = (node: ts.Node): void => {
    const named = ts.isVariableDeclaration(node) && node.name.getText() === expression.getText();
    if (named && node.initializer && ts.isIdentifier(expression))
      texts.push(...textsOf(node.initializer, file));
    ts.forEachChild(node, visit);
  };
  visit(file);
  return texts;
}

/** The level of a call that logs, null of any other. */
function levelOf(call: ts.CallExpression): string | null {
  const { expression } = call;
  if (ts.isPropertyAccessExpression(expression)) {
    const { name } = expression;
    const of = expression.expression.getText();
    if (levels.includes(name.text) && /logger$/i.test(of)) return name.text;
    if (name.text in audits && /\baudit$/.test(of)) return audits[name.text];
    if (
      ['#log', 'log'].includes(name.text) &&
      call.arguments.length === 3 &&
      ts.isStringLiteral(call.arguments[0])
    )
      return call.arguments[0].text;
  }
  return ts.isElementAccessExpression(expression) && /logger$/i.test(expression.expression.getText())
    ? 'passed on'
    : null;
}

function linesOf(name: string): Line[] {
  const file = ts.createSourceFile(
    name,
    readFileSync(join(top, 'src', name), 'utf8'),
    ts.ScriptTarget.Latest,
    true,
  );
  const lines: Line[] = [];
  const visit = (node: ts.Node): void => {
    const level = ts.isCallExpression(node) ? levelOf(node) : null;
    if (level !== null) {
      const message = (node as ts.CallExpression).arguments.at(-1)!;
      const where = `${name}: ${message.getText()}`;
      const known = madeElsewhere[where];
      lines.push({ level, messages: known ? [known] : textsOf(message, file), where });
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return lines;
}

const sources = readdirSync(join(top, 'src'), { recursive: true, encoding: 'utf8' })
  .map((name) => name.replaceAll('\\', '/'))
  .filter((name) => name.endsWith('.ts') && !name.startsWith('sim/') && !name.startsWith('admin/page/'));
const all = sources.flatMap(linesOf);
const readable = all.filter(({ messages }) => messages.length > 0);
const inSources = new Set(
  readable.flatMap(({ level, messages }) => messages.map((text) => `${level} ${text}`)),
);
const onPage = [...page.matchAll(/^\| (debug|info|warn|error) \| `([^`]+)` \| (.+) \| (.+) \| (.+) \|$/gm)];

describe('docs/LOGS.md', () => {
  test('the sources could be read', () => {
    expect(inSources.size).toBeGreaterThan(15);
    const unread = all.filter(({ messages }) => messages.length === 0).map(({ where }) => where);
    for (const where of unread) expect(passingOn).toContain(where.split(':')[0]);
  });

  test('has every line that can be logged, with its level, and no other', () => {
    expect(onPage.map(([, level, message]) => `${level} ${message}`).sort()).toEqual([...inSources].sort());
  });

  test('says of each what it means and what to do', () => {
    for (const [row, , , ...cells] of onPage) {
      for (const cell of cells) expect(cell.trim().length, row).toBeGreaterThan(3);
    }
  });

  test('has every channel', () => {
    const rows = [...page.matchAll(/^\| `ackgate:(\w+)` \|/gm)].map(([, name]) => name);
    expect(rows).toEqual(Object.keys(channels));
  });

  test('has the code of every process warning', () => {
    const used = sources.flatMap((name) => {
      const text = readFileSync(join(top, 'src', name), 'utf8');
      return [...text.matchAll(/new Contained\([^)]*'(ACKGATE_\w+)'/g)].map(([, code]) => code);
    });
    expect(used.length).toBeGreaterThan(1);
    const rows = [...page.matchAll(/^\| `(ACKGATE_\w+)` \|/gm)].map(([, code]) => code);
    expect(rows.sort()).toEqual([...new Set(used)].sort());
  });
});
