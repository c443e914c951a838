import type { Command } from 'commander';
import { resolvePolicy } from '../policy/index.js';
import { type AdminCallOptions, callAdmin, shown, tokenHelp, withAdminOptions } from './admin-client.js';
import { durationText, seconds } from './duration.js';
import { ifRevisionOption } from './if-revision.js';
import { WrongCall } from './wrong-call.js';

interface ModeOptions extends AdminCallOptions {
  ttl?: number;
  ifRevision?: number;
}

const path = '/admin/mode';

/** `ackgate mode`: the durability mode of a running server, and changing it. */
export function addModeCommand(program: Command): void {
  withAdminOptions(
    program
      .command('mode')
      .summary('show or change the durability mode of a running server')
      .description(
        'Without an argument: the mode and policy in force. With one: changes it, and waits until the stage has taken it. ' +
          'Of a server with a mode store it changes all instances; fallback ends what overrides.',
      )
      .argument('[policy]', "a mode such as hybrid, a policy such as 'persisted>=2', or fallback")
      .option(
        '--ttl <duration>',
        'ends by itself after so long, such as 10m or 2h (mode store only)',
        (text) => seconds('--ttl', text),
      )
      .addOption(ifRevisionOption()),
  )
    .addHelpText(
      'after',
      `${tokenHelp}

Examples:
  $ ackgate mode --token-file /etc/ackgate/token
  $ ackgate mode local --ttl 30m
  $ ackgate mode fallback
  $ ackgate mode 'persisted>=1 && in_memory>=2' --url https://engine-3:9464`,
    )
    .action((policy: string | undefined, options: ModeOptions) =>
      policy === undefined ? show(options) : change(policy, options),
    );
}

async function show(options: ModeOptions): Promise<void> {
  if (options.ttl !== undefined || options.ifRevision !== undefined) {
    throw new WrongCall(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      '--ttl and --if-revision go with a mode to change to',
    );
  }
  const { body } = await callAdmin(options, path);
  print(options, body, inForce);
}

async function change(policy: string, options: ModeOptions): Promise<void> {
  // Loads a hundred files, which no other command should wait for, or need the descriptors for.
  const { fallbackWord } = await import('../cluster/mode-text.js');
  // What one types first who comes from other tools.
  if (policy === 'show') {
    throw new WrongCall(
      'ERR_ACKGATE_INVALID_ARGUMENT',
      '"show" is no mode: leave the word out, and `ackgate mode` shows the mode in force',
    );
  }
  if (policy !== fallbackWord) WrongCall.guard(policy, resolvePolicy);
  const { ttl: ttlSecs, ifRevision } = options;
  const send = {
    body: JSON.stringify({ mode: policy, ttlSecs }),
    ...(ifRevision !== undefined && { ifRevision }),
  };
  const { body } = await callAdmin(options, path, send);
  print(options, body, changed);
}

type Body = Record<string, unknown>;

function print(options: ModeOptions, body: Body, text: (body: Body) => string): void {
  process.stdout.write(options.json === true ? `${JSON.stringify(body)}\n` : text(body));
}

function inForce({ mode, policy, store }: Body): string {
  const rows: [string, string][] = [
    ['mode', shown(mode)],
    ['policy', shown(policy)],
  ];
  if (isObject(store)) rows.push(...storeRows(store));
  const width = Math.max(8, ...rows.map(([name]) => name.length + 2));
  return rows.map(([name, value]) => `${name.padEnd(width)}${value}\n`).join('');
}

/** What the mode store says, and what of it needs somebody's eye. */
function storeRows({ revision, override, fallback, refused, lastError }: Body): [string, string][] {
  const rows: [string, string][] = [['revision', String(Number(revision))]];
  if (isObject(override)) {
    const { mode, ttlSecs, by } = override;
    const left = typeof ttlSecs === 'number' ? `${durationText(ttlSecs)} left` : 'without an end';
    rows.push(['override', `${shown(mode)}, ${left}`], ['set by', shown(by) || 'unknown']);
  } else {
    rows.push(['override', 'none']);
  }
  rows.push(['fallback', shown(fallback) || 'this stage does not follow the mode store']);
  if (typeof refused === 'string') rows.push(['refused', shown(refused)]);
  if (typeof lastError === 'string') rows.push(['error', shown(lastError)]);
  return rows;
}

function changed({ from, to, policy, expiresAt }: Body): string {
  const text = shown(policy) === shown(to) || shown(policy) === '' ? '' : ` (${shown(policy)})`;
  const until = typeof expiresAt === 'number' ? `, until ${dateText(expiresAt)}` : '';
  return `${shown(from)} → ${shown(to)}${text}${until}\n`;
}

function dateText(unixMs: number): string {
  const date = new Date(unixMs);
  return Number.isNaN(date.getTime()) ? String(unixMs) : date.toISOString();
}

function isObject(value: unknown): value is Body {
  return typeof value === 'object' && value !== null;
}
