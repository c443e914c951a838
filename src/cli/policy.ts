import type { Command } from 'commander';
import {
  Blocker,
  clauseText,
  createNodeTable,
  fillNodeTable,
  MAX_CLUSTER_SIZE,
  type NodeCursor,
  type Policy,
  PolicyEvaluator,
  resolvePolicy,
} from '../policy/index.js';
import { WrongCall } from './wrong-call.js';

interface PolicyOptions {
  primary: NodeCursor;
  replica?: NodeCursor[];
  json?: true;
}

/** `ackgate policy`: what a durability policy says about a set of cursors. */
export function addPolicyCommand(program: Command): void {
  program
    .command('policy')
    .summary('what a durability policy says about a set of cursors')
    .description(
      'Evaluates a durability policy over the cursors given: up to which sequence responses may be released, and ' +
        'who holds back the next ones.',
    )
    .argument('<policy>', "a policy such as 'persisted>=1 && in_memory>=2', or a mode such as hybrid")
    .requiredOption('--primary <persisted[/zone]>', "the primary's persisted cursor", readPrimary)
    .option(
      '--replica <inMemory/persisted[/zone]>',
      'the cursors of a connected replica; repeat it',
      addReplica,
    )
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Examples:
  $ ackgate policy 'persisted>=2' --primary 500 --replica 480/480 --replica 10/0
  $ ackgate policy 'persisted>=2 zones' --primary 500/a --replica 490/490/a --replica 480/470/b
  $ ackgate policy hybrid --primary 500 --replica 520/480 --json`,
    )
    .action((text: string, options: PolicyOptions) => {
      const { policy } = WrongCall.guard(text, resolvePolicy);
      const view = [options.primary, ...(options.replica ?? [])];
      const evaluator = WrongCall.guard('', () => evaluate(policy, view));
      const print = options.json === true ? printJson : printLines;
      print(policy, view, evaluator);
    });
}

function evaluate(policy: Policy, view: readonly NodeCursor[]): PolicyEvaluator {
  const table = createNodeTable();
  fillNodeTable(table, view);
  const evaluator = new PolicyEvaluator(policy);
  evaluator.evaluate(table);
  return evaluator;
}

const blockerNames = {
  [Blocker.none]: null,
  [Blocker.journal]: 'journal',
  [Blocker.replication]: 'replication',
};

function printJson(policy: Policy, _view: readonly NodeCursor[], evaluator: PolicyEvaluator): void {
  const document = {
    policy: policy.toString(),
    durablePos: positionText(evaluator.durablePos),
    degraded: evaluator.degraded,
    blocker: blockerNames[evaluator.blocker],
    replicaCursor: evaluator.replicaCursor === -1 ? null : evaluator.replicaCursor,
  };
  process.stdout.write(`${JSON.stringify(document)}\n`);
}

function printLines(policy: Policy, view: readonly NodeCursor[], evaluator: PolicyEvaluator): void {
  const { replicaNode, replicaCursor } = evaluator;
  const rows = [
    ['policy', policy.toString()],
    ['position', String(positionText(evaluator.durablePos))],
    ['degraded', evaluator.degraded ? `yes: ${whatIsMissing(policy, view, evaluator)}` : 'no'],
    ['who binds', whoBinds(policy, evaluator)],
    ['replica cursor', replicaNode === -1 ? 'none' : `${replicaCursor} (replica ${replicaNode})`],
  ];
  if (evaluator.durablePos === Number.POSITIVE_INFINITY) {
    rows.push(['warning', 'nothing is ever held back: memory of the primary alone makes nothing durable']);
  }
  process.stdout.write(rows.map(([name, value]) => `${name.padEnd(16)}${value}\n`).join(''));
}

function whoBinds(policy: Policy, evaluator: PolicyEvaluator): string {
  const { blocker, bindingNode, bindingClause } = evaluator;
  if (blocker === Blocker.none) return 'nobody';
  const node = blocker === Blocker.journal ? 'the primary' : `replica ${bindingNode}`;
  return `${blockerNames[blocker]} (${node}, by ${clauseText(policy.clauses[bindingClause])})`;
}

function whatIsMissing(policy: Policy, view: readonly NodeCursor[], evaluator: PolicyEvaluator): string {
  const clause = policy.clauses[evaluator.unmetClause];
  const unit = clause.across ?? 'nodes';
  const zones = new Set(view.map((node, index) => node.zone ?? index));
  const there = unit === 'zones' ? zones.size : view.length;
  return `${clauseText(clause)} needs ${clause.count} ${unit}, there ${there === 1 ? 'is' : 'are'} ${there}`;
}

function positionText(position: number): number | 'unbounded' {
  return position === Number.POSITIVE_INFINITY ? 'unbounded' : position;
}

function readPrimary(text: string): NodeCursor {
  const [persisted, zone] = split(text, 1);
  return node(null, readCursor(persisted, '--primary', text), zone, '--primary', text);
}

function addReplica(text: string, before: NodeCursor[] = []): NodeCursor[] {
  const [inMemory, persisted, zone] = split(text, 2);
  if (persisted === undefined) {
    throw WrongCall.value(
      '--replica',
      text,
      'write inMemory/persisted, such as 480/470, and /zone if it has one',
    );
  }
  if (before.length + 2 > MAX_CLUSTER_SIZE) {
    throw new WrongCall(
      'ERR_ACKGATE_CLUSTER_FULL',
      `--replica can be given ${MAX_CLUSTER_SIZE - 1} times at most`,
    );
  }
  const memory = readCursor(inMemory, '--replica', text);
  return [...before, node(memory, readCursor(persisted, '--replica', text), zone, '--replica', text)];
}

/** The first `numbers` parts between slashes, then the rest: a zone's name may have slashes of its own. */
function split(text: string, numbers: number): string[] {
  const parts = text.split('/');
  const head = parts.slice(0, numbers);
  return parts.length > numbers ? [...head, parts.slice(numbers).join('/')] : head;
}

function node(
  inMemory: number | null,
  persisted: number,
  zone: string | undefined,
  option: string,
  text: string,
): NodeCursor {
  if (zone === '')
    throw WrongCall.value(option, text, 'the zone is empty, leave out the last slash or name one');
  return zone === undefined ? { inMemory, persisted } : { inMemory, persisted, zone };
}

function readCursor(part: string, option: string, text: string): number {
  const cursor = /^[0-9]+$/.test(part) ? Number(part) : Number.NaN;
  if (Number.isSafeInteger(cursor)) return cursor;
  throw WrongCall.value(
    option,
    text,
    `"${part}" is not a whole number from 0 to 2^53-1`,
    'ERR_ACKGATE_SEQUENCE',
  );
}
