import { type Command, Option } from 'commander';
import { type Asked, amount, type Diagnosis, diagnose } from '../doctor/diagnose.js';
import { type Policy, resolvePolicy } from '../policy/index.js';
import { connectionsMax } from '../stage/options.js';
import { wholeNumber } from './numbers.js';
import { WrongCall } from './wrong-call.js';

interface DoctorOptions {
  backend: Asked['backend'];
  policy?: Policy;
  connections: number;
  ringEntries: number;
  json?: true;
}

/** `ackgate doctor`: what this machine offers, which backend a stage would take, and what stands in the way. */
export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .summary('what this machine offers, and which backend a stage would take')
    .description(
      'Sets up a ring as a stage would, and tells what works, what does not and why. Exit code 0 when there is a ' +
        'backend as asked, 1 when there is none.',
    )
    .addOption(
      new Option('--backend <name>', 'the backend that has to work')
        .choices(['auto', 'uring', 'posix'])
        .default('auto'),
    )
    .option('--policy <policy>', 'a policy or mode to warn about', (text: string) => readPolicy(text))
    .option('--connections <number>', 'connections to be held at once', readConnections, 16_384)
    .option('--ring-entries <number>', 'entries of the ring, a power of two', readRingEntries, 4096)
    .option('--json', 'print one JSON document')
    .action(async ({ json, policy, ...asked }: DoctorOptions) => {
      // Loads the addon, which no other command should wait for.
      const { takeReadings } = await import('../doctor/readings.js');
      const readings = takeReadings(asked.ringEntries, asked.connections);
      const diagnosis = diagnose(readings, { ...asked, policy: policy ?? null });
      process.stdout.write(
        json === true ? `${JSON.stringify(diagnosis)}\n` : text(diagnosis, asked.ringEntries),
      );
      process.exitCode = diagnosis.ok ? 0 : 1;
    });
}

function readPolicy(text: string): Policy {
  return WrongCall.guard(text, resolvePolicy).policy;
}

const readConnections = wholeNumber('--connections', 1, connectionsMax);

function readRingEntries(text: string): number {
  const entries = wholeNumber('--ring-entries', 64, 32_768)(text);
  if ((entries & (entries - 1)) === 0) return entries;
  throw new WrongCall('ERR_ACKGATE_NOT_POWER_OF_TWO', `--ring-entries "${text}" must be a power of two`);
}

function text(diagnosis: Diagnosis, ringEntries: number): string {
  const { uring, posix, memlock, fds, policy } = diagnosis;
  const causeOf = ({ cause }: { cause: string | null }) =>
    diagnosis.addon.usable ? cause : 'not tried, for there is no addon';
  const rows: [string, string][] = [
    ['kernel', diagnosis.kernel],
    ['node', `${diagnosis.node}, ${diagnosis.cpus} CPUs`],
    ['addon', diagnosis.addon.cause ?? 'loaded'],
    ['io_uring', causeOf(uring) ?? `usable, ${uring.entries} of ${ringEntries} entries`],
  ];
  if (uring.usable) rows.push(['', uring.features.join(' ') || 'no optional features']);
  rows.push(
    ['posix', causeOf(posix) ?? 'usable'],
    [
      'io_uring_disabled',
      diagnosis.ioUringDisabled === null
        ? diagnosis.proc
          ? 'no such switch'
          : 'unknown'
        : `${diagnosis.ioUringDisabled}`,
    ],
    ['seccomp', diagnosis.seccomp],
    [
      'locked memory',
      `${memlock.soft === null ? 'unknown' : `${amount(memlock.soft)} bytes`}${memlock.exempt ? ', not binding for this process' : ''}`,
    ],
    [
      'file descriptors',
      `${amount(fds.soft)} allowed, ${amount(fds.open)} open, ${amount(fds.needed)} needed`,
    ],
  );
  if (policy !== null) rows.push(['policy', `${policy.text}${policy.unbounded ? ', unbounded' : ''}`]);
  rows.push([`backend ${diagnosis.asked}`, `${diagnosis.backend ?? 'none'}: ${diagnosis.why}`]);

  const lines = rows.map(([name, value]) => `${name.padEnd(19)}${value}`);
  const advice = diagnosis.advice.map((sentence) => `- ${sentence}`);
  return `${[...lines, ...(advice.length > 0 ? ['', ...advice] : [])].join('\n')}\n`;
}
