import type { Directive } from '../../diagnosis/directive.js';
import { decodeAsked } from '../../directives/decode.js';
import { type DirectiveFault, faultText, isDirectiveSlug } from '../../directives/fault.js';
import { encodeDirectives, type Kinds, type PublishableStore } from '../../directives/index.js';
import { AckgateError } from '../../errors.js';
import { describe } from '../../shared/describe.js';
import { within } from '../../shared/within.js';
import { type Answer, json, refusal } from '../answer.js';
import { badRevision, readCondition } from '../condition.js';
import type { AdminContext, Call, Route } from '../context.js';
import { Turns } from '../turns.js';

/** How long a store has to publish a set before others get their turn; its client still waits then. */
const publishMs = 10_000;

/** The directives in force, and putting others in their place. */
export function directivesRoute({ options, audit, bodies }: AdminContext, store: PublishableStore): Route {
  const { kinds } = options.stage.diagnosis;
  const turns = new Turns();

  const GET = () => {
    const snapshot = store.load();
    const body = `${encodeDirectives(snapshot, Date.now())}\n`;
    // The revision is no part of the body, so that this can be published again as it is.
    return { ...json(200, {}), body, headers: { ETag: `"${snapshot.revision}"` } };
  };

  const POST = async ({ request, response, target, caller }: Call) => {
    const body = await bodies.read(request, response);
    if (!Buffer.isBuffer(body)) return body;
    const decoded = decodeAsked(body, { nowMs: Date.now(), kinds });
    if ('slug' in decoded) return invalid(decoded, kinds);
    const condition = readCondition(request, target);
    if (condition === 'bad') return badRevision();
    return turns.take(() => publish(decoded.directives, condition, caller));
  };

  const publish = async (
    directives: readonly Directive[],
    condition: number | null,
    who: Call['caller'],
  ): Promise<Answer> => {
    const entry = { who, action: 'directives', from: describeSet(store.load()) };
    const done = (revision: number) =>
      audit.done({ ...entry, to: describeSet({ revision, directives }), revision }, 'directives published');
    const ifRevision = condition === null ? {} : { ifRevision: condition };
    let revision: number;
    try {
      const call = async () => store.publish(directives, ifRevision);
      revision = await within(publishMs, 'publishing the directives', call, done);
    } catch (error) {
      const refused = storeRefused(error, kinds);
      if (refused !== null) return refused;
      const to = describeSet({ revision: null, directives });
      audit.unconfirmed(
        { ...entry, to, why: describe(error) },
        'directives handed to the store, which did not confirm them',
      );
      return refusal(
        503,
        'not_confirmed',
        'the store did not confirm the set, which may come into force all the same; look at what is in force',
      );
    }
    if (options.stage.diagnosis.store === null) {
      options.logger.warn(
        { revision },
        'directives were published, but the stage follows no store: see diagnosis.follow',
      );
    }
    done(revision);
    return json(200, { revision }, { ETag: `"${revision}"` });
  };

  return { methods: { GET, POST }, admin: true };
}

/** Most kinds that an answer names. */
const kindsMax = 32;

function invalid(fault: DirectiveFault, kinds: Kinds): Answer {
  const { slug, index } = fault;
  const known = slug === 'unknown_kind' ? `: ${kindNames(kinds)}` : '';
  const message = `${faultText(fault)}${known}; nothing was changed`;
  return json(400, { error: slug, ...(index >= 0 && { index }), message });
}

/** The application's own names, so that this repeats nothing that was sent. */
function kindNames(kinds: Kinds): string {
  const names = Object.keys(kinds);
  if (names.length === 0) return 'it names none, so a number from "0" to "65535"';
  const more = names.length - kindsMax;
  return [...names.slice(0, kindsMax), ...(more > 0 ? [`and ${more} more`] : [])].join(', ');
}

/** Null: whether the set was taken is not known. */
function storeRefused(error: unknown, kinds: Kinds): Answer | null {
  if (!(error instanceof AckgateError)) return null;
  const { code, slug, index } = error as AckgateError & { slug?: unknown; index?: unknown };
  switch (code) {
    case 'ERR_ACKGATE_DIRECTIVES_STALE':
      return refusal(409, 'stale_revision', 'another set has come into force meanwhile; nothing was changed');
    case 'ERR_ACKGATE_DIRECTIVES_INVALID':
      if (!isDirectiveSlug(slug)) throw error;
      return invalid({ slug, index: typeof index === 'number' ? index : -1 }, kinds);
    case 'ERR_ACKGATE_INVALID_ARGUMENT':
      // A store that is closed, or that nothing can be written to.
      throw error;
    default:
      return null;
  }
}

/** Most directives that an audit line names. */
const namedMax = 8;

/** A set in one line, for the audit; without a revision, where nobody knows it. */
function describeSet({
  revision,
  directives,
}: {
  revision: number | null;
  directives: readonly Directive[];
}): string {
  const named = directives.slice(0, namedMax).map(describeOne);
  const more = directives.length - named.length;
  const list = [...named, ...(more > 0 ? [`and ${more} more`] : [])].join(', ');
  return `revision ${revision ?? 'unknown'}: ${list === '' ? 'none' : list}`;
}

function describeOne({ id, level, expiresAt, ...rest }: Directive): string {
  const limits = Object.entries(rest).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  const until = `until ${new Date(expiresAt).toISOString()}`;
  return [`${JSON.stringify(id)} ${level}`, ...limits, until].join(' ');
}
