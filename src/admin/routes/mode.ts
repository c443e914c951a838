import { nameOf } from '../../cluster/mode-text.js';
import { AckgateError } from '../../errors.js';
import type { ResolvedPolicy } from '../../policy/index.js';
import { type Answer, json, refusal } from '../answer.js';
import { readCondition } from '../condition.js';
import type { AdminContext, Call, Route } from '../context.js';
import { readModeBody } from '../mode-body.js';
import { modeInForce, modeTaken } from '../mode-taken.js';
import { Turns } from '../turns.js';

/** The durability mode of this stage, and changing it. */
export function modeRoute({ options, audit, bodies, closing }: AdminContext): Route {
  const { stage } = options;
  const turns = new Turns();

  const GET = () => {
    const { mode, policy } = stage.status();
    return json(200, { mode, policy });
  };

  const POST = async ({ request, response, target, caller }: Call) => {
    const body = await bodies.read(request, response);
    if (!Buffer.isBuffer(body)) return body;
    const wanted = readModeBody(body);
    if ('status' in wanted) return wanted;
    const { resolved, end } = wanted;
    if (resolved === null || end !== null || readCondition(request, target) !== null) {
      return refusal(
        400,
        'no_mode_store',
        'fallback, an end and a revision need a mode store: see the option mode of the admin server',
      );
    }
    return turns.take(() => set(resolved, caller));
  };

  const set = async (wanted: ResolvedPolicy, who: Call['caller']): Promise<Answer> => {
    const from = modeInForce(stage.status());
    const to = nameOf(wanted);
    try {
      stage.setMode(wanted.mode === 'custom' ? wanted.policy : wanted.mode);
    } catch (error) {
      return stageRefused(error);
    }
    const entry = { who, action: 'mode', from, to };
    if (await modeTaken(stage, wanted, closing)) {
      audit.done(entry, 'durability mode changed');
      return json(200, { from, to, policy: wanted.policy.toString() });
    }
    audit.unconfirmed(entry, 'durability mode handed to the stage, which has not taken it');
    return refusal(503, 'not_taken', 'the stage has not taken it within a second, and may still do so');
  };

  return { methods: { GET, POST }, admin: true };
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
