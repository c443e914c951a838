import { setTimeout as sleep } from 'node:timers/promises';
import { parseJson } from '../../directives/parse-json.js';
import { AckgateError } from '../../errors.js';
import type { ResolvedPolicy } from '../../policy/index.js';
import { checkPolicy } from '../../stage/options.js';
import type { StageStatus } from '../../stage/status.js';
import { type Answer, json, refusal } from '../answer.js';
import type { AdminContext, Call, Route } from '../context.js';
import { Turns } from '../turns.js';

/** How long the stage has to take a policy, and how often to look. */
const takeMs = 1000;
const lookMs = 5;
/** Longer than any policy; nothing longer is looked at. */
const modeCharsMax = 1000;

/** The durability mode in force, and changing it. */
export function modeRoute(context: AdminContext): Route {
  const { stage } = context.options;
  const turns = new Turns();

  const GET = () => {
    const { mode, policy } = stage.status();
    return json(200, { mode, policy });
  };

  const POST = async ({ request, response, caller }: Call) => {
    const body = await context.bodies.read(request, response);
    if (!Buffer.isBuffer(body)) return body;
    const wanted = readMode(body);
    if (!('policy' in wanted)) return wanted;
    return turns.take(() => set(wanted, caller));
  };

  const set = async (wanted: ResolvedPolicy, who: Call['caller']): Promise<Answer> => {
    const from = nameOf(stage.status());
    const policy = wanted.policy.toString();
    const to = wanted.mode === 'custom' ? policy : wanted.mode;
    try {
      stage.setMode(wanted.mode === 'custom' ? wanted.policy : wanted.mode);
    } catch (error) {
      return stageRefused(error);
    }
    const entry = { who, action: 'mode', from, to };
    if (await taken(wanted)) {
      context.audit.done(entry, 'durability mode changed');
      return json(200, { from, to, policy });
    }
    context.audit.unconfirmed(entry, 'durability mode handed to the stage, which has not taken it');
    return refusal(503, 'not_taken', 'the stage has not taken it within a second, and may still do so');
  };

  /** The status is written after every change, so what it shows is in force. */
  const taken = async ({ byte, policy }: ResolvedPolicy): Promise<boolean> => {
    const text = policy.toString();
    const deadline = performance.now() + takeMs;
    for (;;) {
      const status = stage.status();
      if (status.policy === text && status.modeByte === byte) return true;
      if (performance.now() > deadline || context.closing.aborted) return false;
      await sleep(lookMs);
    }
  };

  return { methods: { GET, POST }, admin: true };
}

/** `{"mode": …}`, and nothing else. */
function readMode(body: Buffer): ResolvedPolicy | Answer {
  const value = parseJson(body);
  if (value === undefined) {
    return refusal(400, 'invalid_json', 'the body is not JSON in UTF-8, or repeats a name');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refusal(400, 'not_an_object', 'the body has to be {"mode": …}');
  }
  if (Object.keys(value).some((key) => key !== 'mode')) {
    return refusal(400, 'unknown_field', 'the body has to be {"mode": …}');
  }
  const { mode } = value as { mode?: unknown };
  if (mode === undefined) return refusal(400, 'missing_mode', 'the body has to be {"mode": …}');
  try {
    if (typeof mode === 'string' && mode.length <= modeCharsMax) return checkPolicy(mode);
  } catch (error) {
    if (!(error instanceof AckgateError)) throw error;
  }
  return refusal(400, 'bad_mode', 'mode has to be a mode, such as local, or a policy, such as persisted>=2');
}

function nameOf({ mode, policy }: StageStatus): string {
  return mode === 'custom' ? policy : mode;
}

function stageRefused(error: unknown): Answer {
  const code = error instanceof AckgateError ? error.code : null;
  switch (code) {
    case 'ERR_ACKGATE_STAGE_CLOSED':
      return refusal(503, 'stage_closed', 'the stage is closed or closing');
    case 'ERR_ACKGATE_STAGE_FENCED':
      return refusal(503, 'stage_fenced', 'the stage is fenced: a later primary has taken over');
    case 'ERR_ACKGATE_CONTROL_FULL':
      return refusal(503, 'busy', 'too many control calls wait for the stage; try again', {
        'Retry-After': '1',
      });
    default:
      throw error;
  }
}
