import { type Command, Option } from 'commander';
import { diagnosisLevels } from '../diagnosis/levels.js';
import {
  type AdminCallOptions,
  callAdmin,
  readText,
  shown,
  tokenHelp,
  withAdminOptions,
} from './admin-client.js';
import { captureText } from './directives-capture.js';
import { addSignCommand } from './directives-sign.js';
import { durationText, seconds } from './duration.js';
import { ifRevisionOption } from './if-revision.js';
import { wholeNumber } from './numbers.js';
import { WrongCall } from './wrong-call.js';

const path = '/admin/directives';

/** `ackgate directives`: look more closely at a part of the traffic of a running server, for a while. */
export function addDirectivesCommand(program: Command): void {
  const directives = program
    .command('directives')
    .summary('look more closely at a part of the traffic of a running server, for a while')
    .description(
      'Publishes and lists the directives of a running server, reads the records that they took down, and signs tokens ' +
        'for single sessions.',
    );
  addPublishCommand(directives);
  addListCommand(directives);
  addClearCommand(directives);
  addCaptureCommand(directives);
  addSignCommand(directives);
}

interface PublishOptions extends AdminCallOptions {
  ifRevision?: number;
  add?: true;
  id?: string;
  level?: string;
  ttl?: number;
  tenant?: string;
  connection?: number;
  kind?: string;
  sample?: number;
  salt?: string;
}

function addPublishCommand(directives: Command): void {
  withAdminOptions(directives.command('publish'))
    .summary('put a set of directives in the place of the one in force')
    .description(
      'Publishes a whole set: from a file, from standard input, or one directive from options. The set in force is ' +
        'replaced, unless --add keeps what is in it.',
    )
    .argument('[file]', 'file with {"directives": […]}, as list --json prints it; - for standard input')
    .addOption(ifRevisionOption())
    .option('--add', 'keep what is in force, except a directive of the same id; only with --id')
    .option('--id <id>', 'publish one directive of this id')
    .addOption(new Option('--level <level>', 'how closely to look').choices(diagnosisLevels))
    .option('--ttl <duration>', 'for how long, such as 90s, 10m or 2h; 24h at most', (text) =>
      seconds('--ttl', text),
    )
    .option('--tenant <tenant>', 'only connections of this tenant')
    .option('--connection <id>', 'only this connection', wholeNumber('--connection'))
    .option('--kind <name>', 'only records of this kind')
    .option('--sample <perMille>', 'only so many of a thousand requests, 0 to 1000', wholeNumber('--sample'))
    .option('--salt <text>', 'takes other requests than without it')
    .addHelpText(
      'after',
      `${tokenHelp}

Examples:
  $ ackgate directives publish --id slow-acme --level timing --ttl 10m --tenant acme
  $ ackgate directives publish --add --id look --level capture --ttl 2m --connection 17
  $ ackgate directives list --json > set.json; ackgate directives publish set.json`,
    )
    .action(async (file: string | undefined, options: PublishOptions) => {
      const body = file === undefined ? null : readSet(file, options);
      if (body !== null) return publish(options, body, options.ifRevision);
      const directive = readDirective(options);
      if (options.add !== true) return publish(options, asSet([directive]), options.ifRevision);
      const { body: inForce, revision } = await callAdmin(options, path);
      const others = directivesOf(inForce).filter(({ id }) => id !== directive.id);
      const expected = options.ifRevision ?? revision ?? undefined;
      return publish(options, asSet([...others, directive]), expected);
    });
}

function addListCommand(directives: Command): void {
  withAdminOptions(directives.command('list'))
    .summary('what is in force, and for how long')
    .description('Lists the directives in force. With --json, in the form that publish takes.')
    .addHelpText('after', tokenHelp)
    .action(async (options: AdminCallOptions) => {
      const { body, revision } = await callAdmin(options, path);
      process.stdout.write(
        options.json === true ? `${JSON.stringify(body)}\n` : listText(directivesOf(body), revision),
      );
    });
}

function addClearCommand(directives: Command): void {
  withAdminOptions(directives.command('clear'))
    .summary('end all directives')
    .description('Publishes an empty set: all directives end at once.')
    .addOption(ifRevisionOption())
    .addHelpText('after', tokenHelp)
    .action((options: AdminCallOptions & { ifRevision?: number }) =>
      publish(options, asSet([]), options.ifRevision),
    );
}

function addCaptureCommand(directives: Command): void {
  withAdminOptions(directives.command('capture'))
    .summary('read the records that were taken down')
    .description('Prints what is in the capture ring, oldest first: records that directives took down.')
    .option('--after <number>', 'only those after the record of this number', wholeNumber('--after'), 0)
    .addHelpText('after', tokenHelp)
    .action(async (options: AdminCallOptions & { after: number }) => {
      const entries: unknown[] = [];
      let { after } = options;
      // What is taken down meanwhile is for the next call: under load there would always be more.
      let newest: number | null = null;
      for (;;) {
        const { body } = await callAdmin(options, `/admin/capture?after=${after}`);
        entries.push(...(Array.isArray(body.entries) ? body.entries : []));
        const last = typeof body.last === 'number' ? body.last : after;
        newest ??= typeof body.newest === 'number' ? body.newest : last;
        if (body.more !== true || last <= after || last >= newest) break;
        after = last;
      }
      const last = (entries.at(-1) as { number?: number } | undefined)?.number ?? options.after;
      process.stdout.write(
        options.json === true ? `${JSON.stringify({ entries, last })}\n` : captureText(entries),
      );
    });
}

async function publish(
  options: AdminCallOptions,
  body: string,
  ifRevision: number | undefined,
): Promise<void> {
  const send = ifRevision === undefined ? { body } : { body, ifRevision };
  const { body: answer } = await callAdmin(options, path, send);
  process.stdout.write(
    options.json === true ? `${JSON.stringify(answer)}\n` : `revision ${answer.revision}\n`,
  );
}

function readSet(file: string, options: PublishOptions): string {
  const extra = (
    ['id', 'level', 'ttl', 'tenant', 'connection', 'kind', 'sample', 'salt', 'add'] as const
  ).find((name) => options[name] !== undefined);
  if (extra !== undefined) {
    throw new WrongCall('ERR_ACKGATE_INVALID_ARGUMENT', `--${extra} and a file: give one or the other`);
  }
  return readText(file === '-' ? 'standard input' : `file "${file}"`, file === '-' ? 0 : file);
}

/** The directive that the options say; what is wrong with its values is the server's to tell. */
function readDirective({ id, level, ttl, tenant, connection, kind, sample, salt }: PublishOptions) {
  const missing = Object.entries({ id, level, ttl }).find(([, value]) => value === undefined);
  if (missing !== undefined) {
    throw new WrongCall(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      `--${missing[0]} is missing: give a file, - for standard input, or --id, --level and --ttl`,
    );
  }
  return { id: id as string, level, ttlSecs: ttl, tenant, connection, kind, samplePerMille: sample, salt };
}

function asSet(directives: readonly object[]): string {
  return JSON.stringify({ directives });
}

function directivesOf(body: Record<string, unknown>): Record<string, unknown>[] {
  return Array.isArray(body.directives) ? body.directives : [];
}

function listText(directives: readonly Record<string, unknown>[], revision: number | null): string {
  const head = `revision ${revision ?? 'unknown'}`;
  if (directives.length === 0) return `${head}: nothing in force\n`;
  const rows = directives.map(({ id, level, ttlSecs, expiresAt: _, ...rest }) => [
    text(id),
    text(level),
    `${durationText(Number(ttlSecs))} left`,
    Object.entries(rest)
      .map(([name, value]) => `${shown(name)} ${text(value)}`)
      .join(', ') || 'everything',
  ]);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column].length)));
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '));
  return `${[head, ...lines.map((line) => line.trimEnd())].join('\n')}\n`;
}

const text = (value: unknown) => (typeof value === 'number' ? String(value) : shown(value));
