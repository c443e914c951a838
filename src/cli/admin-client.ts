import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { isLoopbackName } from '../admin/hosts.js';
import { AckgateError } from '../errors.js';
import { seconds } from './duration.js';
import { WrongCall } from './wrong-call.js';

/** Options of every command that calls an admin server. */
export interface AdminCallOptions {
  url: URL;
  tokenFile?: string;
  allowCleartext?: true;
  timeout: number;
  json?: true;
}

const urlDefault = 'http://127.0.0.1:9464';

/** Adds those options to a command. */
export function withAdminOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--url <url>', 'where the admin server is')
        .env('ACKGATE_ADMIN_URL')
        .default(new URL(urlDefault), urlDefault)
        .argParser(readUrl),
    )
    .option(
      '--token-file <file>',
      'file with the bearer token (default: the environment variable ACKGATE_ADMIN_TOKEN)',
    )
    .addOption(new Option('--token [token]').hideHelp().argParser(refuseToken))
    .option('--allow-cleartext', 'send the token to another host though the call is not encrypted')
    .option('--timeout <duration>', 'how long to wait for an answer', readTimeout, 5)
    .option('--json', 'print one JSON document');
}

/** Added to the help of every command that needs the token. */
export const tokenHelp = `
The token never goes into the arguments, where everybody on the machine could read it: put it into a file for
--token-file, or into ACKGATE_ADMIN_TOKEN.`;

/** What an admin server answered, when it did what was asked. */
export interface AdminReply {
  readonly body: Record<string, unknown>;
  /** Of the directives, or of the mode in its store; null where there is none. */
  readonly revision: number | null;
}

/**
 * One call with the token.
 *
 * @throws WrongCall for what the server calls wrong, and where the token would go over cleartext
 * @throws ERR_ACKGATE_ADMIN_UNREACHABLE, ERR_ACKGATE_ADMIN_REFUSED
 */
export async function callAdmin(
  options: AdminCallOptions,
  path: string,
  send?: { body: string; ifRevision?: number },
): Promise<AdminReply> {
  const token = readToken(options);
  checkCleartext(options);
  const url = new URL(path, options.url);
  const headers: Record<string, string> = { Authorization: `Bearer ${token}` };
  if (send !== undefined) headers['Content-Type'] = 'application/json';
  if (send?.ifRevision !== undefined) headers['If-Match'] = `"${send.ifRevision}"`;
  const { response, text } = await exchange(url, options.timeout, {
    method: send === undefined ? 'GET' : 'POST',
    headers,
    ...(send !== undefined && { body: send.body }),
  });
  const body = parse(text);
  if (response.status === 200 && body !== null) {
    const revision = /^"(\d+)"$/.exec(response.headers.get('etag') ?? '')?.[1];
    return { body, revision: revision === undefined ? null : Number(revision) };
  }
  throw refused(response.status, body, path, options.url);
}

async function exchange(url: URL, timeoutSecs: number, init: RequestInit) {
  try {
    const signal = AbortSignal.timeout(timeoutSecs * 1000);
    // A redirect would hand the token to whoever it names.
    const response = await fetch(url, { ...init, redirect: 'error', signal });
    return { response, text: await response.text() };
  } catch (error) {
    const { name, cause } = error as Error & { cause?: NodeJS.ErrnoException };
    const why =
      name === 'TimeoutError'
        ? `no answer within ${timeoutSecs} s: the process may hang; --timeout waits longer`
        : (reasons[cause?.code ?? ''] ?? cause?.message ?? String(error));
    throw new AckgateError('ERR_ACKGATE_ADMIN_UNREACHABLE', `${url.origin}: ${why}`, { cause: error });
  }
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED:
    'nothing listens there: start the server with an admin server (startAdminServer of ackgate/admin), or say ' +
    'with --url where it is',
  ECONNRESET: 'the connection was reset: is it an admin server, and http or https as the URL says?',
  ENOTFOUND: 'there is no host of that name',
  EHOSTUNREACH: 'there is no way to that host',
};

function refused(status: number, body: Record<string, unknown> | null, path: string, url: URL): Error {
  const slug = shown(body?.error);
  const message = shown(body?.message);
  const said = [slug, message].filter((part) => part !== '').join(': ');
  const what = `${url.origin} answered ${status}${said === '' ? '' : ` (${said})`}`;
  // The call itself was wrong, and will be however often it is repeated.
  if (status === 400 && slug !== '') return new WrongCall('ERR_ACKGATE_INVALID_ARGUMENT', what);
  const advice = advices(path)[status];
  return new AckgateError('ERR_ACKGATE_ADMIN_REFUSED', advice === undefined ? what : `${what}. ${advice}`);
}

function advices(path: string): Readonly<Record<number, string>> {
  const [needed, look] = path.startsWith('/admin/directives')
    ? ['a token and a store', 'ackgate directives list']
    : ['a token', 'ackgate mode'];
  return {
    401: 'The token in --token-file or ACKGATE_ADMIN_TOKEN is not the one of the server',
    404: `The server has no such call: it needs ${needed} (startAdminServer)`,
    409: `Look at what is in force (${look}), then publish again`,
  };
}

/** What a server says goes to a terminal, which would act on control characters. */
export function shown(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, 1000).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?') : '';
}

function parse(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function readToken({ tokenFile }: AdminCallOptions): string {
  const [token, from] =
    tokenFile === undefined
      ? [process.env.ACKGATE_ADMIN_TOKEN ?? '', 'ACKGATE_ADMIN_TOKEN']
      : [readSecret('--token-file', tokenFile), `--token-file "${tokenFile}"`];
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new WrongCall(
    'ERR_ACKGATE_INVALID_ARGUMENT',
    token === ''
      ? 'this call needs a token: give --token-file, or set ACKGATE_ADMIN_TOKEN'
      : `${from}: a token is one word of visible ASCII characters`,
  );
}

/** The content of a file with a secret in it, without the line's end. */
export function readSecret(option: string, file: string): string {
  return readText(option, file).replace(/\r?\n$/, '');
}

export function readText(what: string, file: string | number): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { message } = error as Error;
    throw new WrongCall('ERR_ACKGATE_INVALID_ARGUMENT', `${what}: it can't be read: ${message}`);
  }
}

function checkCleartext({ url, allowCleartext }: AdminCallOptions): void {
  if (url.protocol === 'https:' || allowCleartext === true || isLoopbackName(url.hostname)) return;
  throw new WrongCall(
    'ERR_ACKGATE_INVALID_ARGUMENT',
    `--url ${url.origin}: the token would go to another host over cleartext, where it can be read on the way; ` +
      'use https, a tunnel to loopback, or --allow-cleartext',
  );
}

function readTimeout(text: string): number {
  const secs = seconds('--timeout', text);
  if (secs >= 1 && secs <= 3600) return secs;
  throw new WrongCall('ERR_ACKGATE_OUT_OF_RANGE', `--timeout "${text}" must be from 1s to 1h`);
}

function readUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:';
  if (url === null || !isHttp) {
    throw new WrongCall('ERR_ACKGATE_INVALID_ARGUMENT', `--url "${text}" must be such as ${urlDefault}`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new WrongCall('ERR_ACKGATE_INVALID_ARGUMENT', '--url must have no user or password in it');
  }
  return url;
}

function refuseToken(): never {
  throw new WrongCall(
    'ERR_ACKGATE_INVALID_ARGUMENT',
    'there is no --token: arguments can be read by everybody on the machine, so a token given there is no secret ' +
      'any more; use --token-file or ACKGATE_ADMIN_TOKEN',
  );
}
