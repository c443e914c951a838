import type { Directive, DirectiveSnapshot } from '../../diagnosis/directive.js';
import { decodeDirectives, encodeDirectives, type PublishableStore } from '../../directives/index.js';
import { AckgateError } from '../../errors.js';
import { type Answer, json, refusal } from '../answer.js';
import type { AdminContext, Call, Route } from '../context.js';
import { oneParameter, readWhole } from '../request.js';

/** The directives in force, and putting others in their place. */
export function directivesRoute({ options, audit, bodies }: AdminContext, store: PublishableStore): Route {
  const GET = () => {
    const snapshot = store.load();
    const body = `${encodeDirectives(snapshot, Date.now())}\n`;
    // The revision is no part of the body, so that this can be published again as it is.
    return { ...json(200, {}), body, headers: { ETag: `"${snapshot.revision}"` } };
  };

  const POST = async ({ request, response, target, caller }: Call) => {
    const body = await bodies.read(request, response);
    if (!Buffer.isBuffer(body)) return body;
    const decoded = decodeDirectives(body, { nowMs: Date.now(), kinds: options.stage.diagnosis.kinds });
    if ('slug' in decoded) return invalid(decoded.slug);
    const condition = readCondition(request.headers['if-match'], oneParameter(target.query, 'ifRevision'));
    if (condition === 'bad') {
      return refusal(
        400,
        'bad_revision',
        'If-Match has to be a revision such as "5", ifRevision one such as 5',
      );
    }
    const before = store.load();
    try {
      const { directives } = decoded;
      const ifRevision = condition === null ? {} : { ifRevision: condition };
      const revision = await store.publish(directives, ifRevision);
      const change = { from: describeSet(before), to: describeSet({ revision, directives }) };
      if (options.stage.diagnosis.store === null) {
        options.logger.warn(
          { revision },
          'directives were published, but the stage follows no store: see diagnosis.follow',
        );
      }
      audit.done({ who: caller, action: 'directives', ...change, revision }, 'directives published');
      return json(200, { revision }, { ETag: `"${revision}"` });
    } catch (error) {
      return storeRefused(error);
    }
  };

  return { methods: { GET, POST }, admin: true };
}

function invalid(slug: string): Answer {
  return refusal(400, slug, 'nothing was changed; docs/DIRECTIVES.md says what each word means');
}

function storeRefused(error: unknown): Answer {
  const { code, slug } = error as { code?: unknown; slug?: unknown };
  if (!(error instanceof AckgateError)) throw error;
  if (code === 'ERR_ACKGATE_DIRECTIVES_STALE') {
    return refusal(409, 'stale_revision', 'another set has come into force meanwhile; nothing was changed');
  }
  if (code === 'ERR_ACKGATE_DIRECTIVES_INVALID' && typeof slug === 'string') return invalid(slug);
  throw error;
}

/** The revision that has to be in force, null for any. Given both ways, both have to say the same. */
function readCondition(
  header: string | undefined,
  parameter: string | null | undefined,
): number | null | 'bad' {
  const tag = header === undefined || header.trim() === '*' ? null : readTag(header.trim());
  const given = parameter === null ? null : (readWhole(parameter ?? '') ?? 'bad');
  if (tag === 'bad' || given === 'bad') return 'bad';
  if (tag !== null && given !== null && tag !== given) return 'bad';
  return tag ?? given;
}

function readTag(text: string): number | 'bad' {
  const digits = /^"(\d+)"$|^(\d+)$/.exec(text);
  return readWhole(digits?.[1] ?? digits?.[2] ?? '') ?? 'bad';
}

/** Most directives that an audit line names. */
const namedMax = 8;

/** A set in one line, for the audit. */
function describeSet({ revision, directives }: DirectiveSnapshot): string {
  const named = directives.slice(0, namedMax).map(describeOne);
  const more = directives.length - named.length;
  const list = [...named, ...(more > 0 ? [`and ${more} more`] : [])].join(', ');
  return `revision ${revision}: ${list === '' ? 'none' : list}`;
}

function describeOne({ id, level, expiresAt, ...rest }: Directive): string {
  const limits = Object.entries(rest).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  const until = `until ${new Date(expiresAt).toISOString()}`;
  return [`${JSON.stringify(id)} ${level}`, ...limits, until].join(' ');
}
