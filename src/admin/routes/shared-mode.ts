import type { WatchedMode } from '../../cluster/index.js';
import { checkModeChange, fallbackWord, type ModeChange, nameOf } from '../../cluster/mode-text.js';
import { AckgateError } from '../../errors.js';
import type { Policy, ResolvedPolicy } from '../../policy/index.js';
import { describe } from '../../shared/describe.js';
import { within } from '../../shared/within.js';
import { checkPolicy } from '../../stage/options.js';
import { type Answer, json, refusal } from '../answer.js';
import { harmless } from '../audit.js';
import { badRevision, readCondition } from '../condition.js';
import type { AdminContext, Call, Route } from '../context.js';
import { readModeBody, type WantedMode } from '../mode-body.js';
import { modeInForce, modeTaken } from '../mode-taken.js';
import { Turns } from '../turns.js';

/** How long the mode store has to confirm a mode before others get their turn; its client still waits then. */
const publishMs = 10_000;

/** The durability mode of all instances, in their mode store, and publishing another one. */
export function sharedModeRoute(context: AdminContext, modes: WatchedMode): Route {
  const { options, audit, bodies, closing } = context;
  const { stage, instance, logger } = options;
  const turns = new Turns();

  const GET = () => {
    const { mode, policy } = stage.status();
    const { revision } = modes.load();
    const { fallback = null, refused = null } = modes.following(stage) ?? {};
    const store = {
      revision,
      override: describeOverride(modes),
      fallback,
      refused: refused === null ? null : refused.message,
      ageMs: modes.ageMs(),
      lastError: modes.lastError === null ? null : modes.lastError.message,
    };
    return json(200, { mode, policy, store }, { ETag: `"${revision}"` });
  };

  const POST = async ({ request, response, target, caller }: Call) => {
    const body = await bodies.read(request, response);
    if (!Buffer.isBuffer(body)) return body;
    const wanted = readModeBody(body);
    if ('status' in wanted) return wanted;
    const change = readChange(wanted, byline(caller, instance));
    if ('status' in change) return change;
    const condition = readCondition(request, target);
    if (condition === 'bad') return badRevision();
    const { resolved } = wanted;
    if (resolved !== null) {
      const unsupported = supported(modes, resolved.policy);
      if (unsupported !== null) return unsupported;
    }
    return turns.take(() => publish(change, resolved, condition, caller));
  };

  const publish = async (
    change: ModeChange,
    resolved: ResolvedPolicy | null,
    condition: number | null,
    who: Call['caller'],
  ): Promise<Answer> => {
    const from = modeInForce(stage.status());
    const entry = { who, action: 'mode', from, to: describeChange(change) };
    const done = (revision: number) => audit.done({ ...entry, revision }, 'durability mode published');
    let revision: number;
    try {
      const call = () => modes.publish(change, condition === null ? {} : { ifRevision: condition });
      revision = await within(publishMs, 'publishing the mode', call, done);
    } catch (error) {
      const refused = storeRefused(error);
      if (refused !== null) return refused;
      const unconfirmed = { ...entry, why: describe(error) };
      audit.unconfirmed(unconfirmed, 'durability mode handed to the mode store, which did not confirm it');
      return refusal(
        503,
        'not_confirmed',
        'the mode store did not confirm it; it may come into force all the same, look at what is in force',
      );
    }
    done(revision);
    const { expiresAt = null, by } = change;
    const following = modes.following(stage);
    if (following === null) {
      logger.warn(
        { revision },
        'a mode was published that this stage does not follow: see WatchedMode.follow',
      );
    }
    const inForce = resolved ?? (following === null ? null : checkPolicy(following.fallback));
    if (following !== null && inForce !== null && !(await modeTaken(stage, inForce, closing))) {
      audit.unconfirmed({ ...entry, revision }, 'durability mode published, but the stage has not taken it');
      return refusal(
        503,
        'not_taken',
        'the mode store has it for all instances, but this stage has not taken it within a second',
      );
    }
    const to = inForce === null ? fallbackWord : nameOf(inForce);
    const policy = inForce === null ? null : inForce.policy.toString();
    return json(200, { from, to, policy, revision, expiresAt, by }, { ETag: `"${revision}"` });
  };

  return { methods: { GET, POST }, admin: true };
}

/** Who called, as other instances can tell: the fingerprint is one of this instance's own. */
function byline({ address, token }: Call['caller'], instance: string | null): string {
  return harmless(`${address} (token ${token})${instance === null ? '' : ` at ${instance}`}`);
}

/** With its end, if it has one, as an absolute time only. */
function readChange({ resolved, end }: WantedMode, by: string): ModeChange | Answer {
  const policy = resolved === null ? fallbackWord : nameOf(resolved);
  try {
    return checkModeChange({ policy, by, ...(end as object) }, Date.now()).setting;
  } catch (error) {
    if (!(error instanceof AckgateError)) throw error;
    return badEnd();
  }
}

function badEnd(): Answer {
  return refusal(
    400,
    'bad_end',
    'ttlSecs has to be whole seconds, expiresAt unix milliseconds in the future, both at most 366 days ahead',
  );
}

function supported(modes: WatchedMode, policy: Policy): Answer | null {
  try {
    modes.check(policy);
    return null;
  } catch (error) {
    // The application's own words about a policy that was read, so that this repeats nothing that was sent.
    return refusal(
      400,
      'unsupported_mode',
      harmless(error instanceof Error ? error.message : describe(error)),
    );
  }
}

/** Null: whether it was taken is not known. */
function storeRefused(error: unknown): Answer | null {
  if (!(error instanceof AckgateError)) return null;
  switch (error.code) {
    case 'ERR_ACKGATE_MODE_STALE':
      return refusal(409, 'stale_revision', 'another mode has been published meanwhile; nothing was changed');
    case 'ERR_ACKGATE_OUT_OF_RANGE':
      // Its end has come while others had their turn.
      return badEnd();
    case 'ERR_ACKGATE_INVALID_ARGUMENT':
      // A store that is closed, or that nothing can be written to.
      throw error;
    default:
      return null;
  }
}

function describeOverride(modes: WatchedMode): object | null {
  const override = modes.override();
  if (override === null) return null;
  const { policy, expiresAt = null, by = null } = override;
  const ttlSecs = expiresAt === null ? null : Math.max(0, Math.ceil((expiresAt - Date.now()) / 1000));
  return { mode: policy, expiresAt, ttlSecs, by };
}

function describeChange({ policy, expiresAt }: ModeChange): string {
  return expiresAt === undefined ? String(policy) : `${policy} until ${new Date(expiresAt).toISOString()}`;
}
