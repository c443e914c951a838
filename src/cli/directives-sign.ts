import { type Command, Option } from 'commander';
import { diagnosisLevels } from '../diagnosis/levels.js';
import type { TokenClaims } from '../directives/index.js';
import { readSecret } from './admin-client.js';
import { seconds } from './duration.js';
import { WrongCall } from './wrong-call.js';

interface SignOptions {
  level: TokenClaims['level'];
  ttl: number;
  kid: string;
  instance?: string;
  keyFile?: string;
  json?: true;
}

/** A verifier takes no longer ones. */
const ttlSecsMax = 3600;

/** `ackgate directives sign`: a token that raises the level of one session; needs no server. */
export function addSignCommand(directives: Command): void {
  directives
    .command('sign')
    .summary('sign a token that raises the level of one session')
    .description(
      'Prints a token that a client can present to have its own session looked at more closely. Needs no server, ' +
        'only the key that the server knows by this name.',
    )
    .addOption(
      new Option('--level <level>', 'how closely to look')
        .choices(diagnosisLevels.filter((level) => level !== 'off'))
        .makeOptionMandatory(),
    )
    .requiredOption('--ttl <duration>', 'for how long, such as 90s or 10m; 1h at most', readTtl)
    .requiredOption('--kid <name>', 'name of the key')
    .option('--instance <name>', 'good for this instance only')
    .option('--key-file <file>', 'file with the key (default: the environment variable ACKGATE_SIGNING_KEY)')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
The key is the text of the file without its last line break. It never goes into the arguments, where everybody on the
machine could read it.

Example:
  $ ackgate directives sign --level capture --ttl 10m --kid k1 --instance engine-3 --key-file /etc/ackgate/k1`,
    )
    .action(async ({ level, ttl, kid, instance, keyFile, json }: SignOptions) => {
      const { signToken } = await import('../directives/index.js');
      const exp = Math.floor(Date.now() / 1000) + ttl;
      const claims = { kid, level, exp, ...(instance !== undefined && { instance }) };
      const key = readKey(keyFile);
      const token = WrongCall.guard('', () => signToken(claims, key));
      process.stdout.write(json === true ? `${JSON.stringify({ token, ...claims })}\n` : `${token}\n`);
    });
}

function readKey(keyFile: string | undefined): string {
  const key =
    keyFile === undefined ? (process.env.ACKGATE_SIGNING_KEY ?? '') : readSecret('--key-file', keyFile);
  if (key !== '') return key;
  throw new WrongCall(
    'ERR_ACKGATE_INVALID_ARGUMENT',
    'signing needs a key: give --key-file, or set ACKGATE_SIGNING_KEY',
  );
}

function readTtl(text: string): number {
  const secs = seconds('--ttl', text);
  if (secs >= 1 && secs <= ttlSecsMax) return secs;
  throw new WrongCall('ERR_ACKGATE_OUT_OF_RANGE', `--ttl "${text}" must be from 1s to 1h`);
}
