import { type Command, Option } from 'commander';
import type { Logger } from '../shared/logger.js';
import { readText } from './admin-client.js';
import { WrongCall } from './wrong-call.js';

interface ServerOptions {
  servers: string[];
  cluster: string;
  user?: string;
  passwordFile?: string;
  credentialsFile?: string;
  json?: true;
}

interface RunOptions extends ServerOptions {
  name: string;
  zone?: string;
  directory: string;
}

/** `ackgate replica`: a copy of a primary's journal on another machine, and who has how much of it. */
export function addReplicaCommand(program: Command): void {
  const replica = program
    .command('replica')
    .summary('copy the journal of a primary over NATS, and tell it how far')
    .description('Copies the journal of a primary over NATS, and tells it how far: docs/NATS.md.');
  withServers(replica.command('run', { isDefault: true }))
    .summary('run a replica until it is ended')
    .description(
      'Appends what the primary publishes to a journal of its own, and tells the primary what it has in memory and ' +
        "on disk. Ends in order on SIGTERM and SIGINT; exits 1 when it can't go on.",
    )
    .requiredOption('--name <node>', 'name of this node; each of a cluster has its own')
    .option('--zone <zone>', 'failure zone, for policies that count zones')
    .requiredOption('--directory <path>', 'where its journal is')
    .addHelpText(
      'after',
      `
Examples:
  $ ackgate replica --name r1 --zone rack-1 --directory /var/lib/ackgate --servers nats://10.0.0.5:4222 --cluster exchange
  $ ackgate replica standings --servers nats://10.0.0.5:4222 --cluster exchange`,
    )
    .action(run);
  withServers(replica.command('standings'))
    .summary('who is primary, and which replica has most of the journal')
    .description(
      'Asks who is primary and how far each replica is. After a primary was lost, start the next one on a node that is ' +
        'marked as furthest. Exits 1 when nobody answers.',
    )
    .action(standings);
}

function withServers(command: Command): Command {
  return command
    .requiredOption('--servers <address...>', 'NATS servers, such as nats://10.0.0.5:4222')
    .requiredOption('--cluster <name>', 'name of the cluster, as the primary has it')
    .option('--user <user>', 'user of the NATS server')
    .addOption(new Option('--password-file <path>', 'file with its password').conflicts('credentialsFile'))
    .option('--credentials-file <path>', '.creds file, in the place of user and password')
    .option('--json', 'one JSON document a line');
}

function serverOptions({ servers, cluster, user, passwordFile, credentialsFile }: ServerOptions) {
  const password =
    passwordFile === undefined
      ? undefined
      : readText(`file "${passwordFile}"`, passwordFile).replace(/\r?\n$/, '');
  return {
    servers,
    cluster,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    ...(credentialsFile === undefined ? {} : { credentialsFile }),
  };
}

async function run(options: RunOptions): Promise<void> {
  const { startReplica } = await import('../nats/start-replica.js');
  const { name: node, zone, directory } = options;
  const logger = lineLogger(options.json === true);
  const replica = await asCall(() =>
    startReplica({
      ...serverOptions(options),
      node,
      directory,
      logger,
      ...(zone === undefined ? {} : { zone }),
    }),
  );
  logger.info({ node, cluster: options.cluster }, 'connected, and waits for a primary');
  const ended = new Promise<null>((end) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => end(null));
  });
  const failure = await Promise.race([ended, replica.failed]);
  // It has closed itself then.
  if (failure !== null) throw failure;
  // With records that are in memory only and can't be persisted, this is no end in order.
  await replica.close();
}

async function standings(options: ServerOptions): Promise<void> {
  const { natsStandings } = await import('../nats/standings.js');
  const found = await asCall(() => natsStandings(serverOptions(options)));
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify(found)}\n`);
  } else {
    const { primary, replicas } = found;
    const lines = [
      primary === null
        ? 'no primary'
        : `primary ${primary.node}  term ${primary.term}  up to sequence ${primary.lastSequence}`,
      ...replicas.map(
        ({ node, zone, lastTerm, lastSequence, isFurthest }) =>
          `replica ${node}${zone === null ? '' : ` in ${zone}`}  up to sequence ${lastSequence} of term ${lastTerm}` +
          (isFurthest ? '  (furthest)' : ''),
      ),
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
  }
  if (found.primary === null && found.replicas.length === 0) process.exitCode = 1;
}

const wrongCalls = ['ERR_ACKGATE_INVALID_ARGUMENT', 'ERR_ACKGATE_OUT_OF_RANGE'];

/** What is wrong with the options is a wrong call; everything else did not hold. */
async function asCall<T>(start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code !== undefined && wrongCalls.includes(code)) throw new WrongCall(code, message);
    throw error;
  }
}

function lineLogger(json: boolean): Logger {
  const line = (level: keyof Logger) => (fields: object, message: string) => {
    const text = json
      ? JSON.stringify({ level, message, ...fields })
      : `${level}: ${message} ${Object.entries(fields)
          .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
          .join(' ')}`;
    process.stdout.write(`${text}\n`);
  };
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') };
}
