import { z } from 'zod';
import type { AckgateErrorCode } from '../errors.js';
import { highestTerm } from './history.js';
import { decodeHistory } from './history-file.js';

/*
 * What nodes tell each other, but for records (batch-codec.ts): JSON with a version, every key of it known. A message
 * of another version, or with anything that is not expected, is not understood at all rather than by half.
 */
const version = 1;
const nodeNameCharsMax = 255;

/**
 * Furthest that a term may be ahead of the clock. Terms are times; one far beyond would be promised, and written down, and
 * no later one could be taken: a single message would end a cluster for good.
 */
const termAheadMaxMs = 366 * 24 * 3_600_000;

export const implausibleTerm = 'its term is more than a year ahead of the clock here';

/** Whether a term that was heard of may be believed. Not for those that are written down here. */
export function isPlausibleTerm(term: number, nowMs: number = Date.now()): boolean {
  return Number.isSafeInteger(term) && term <= nowMs + termAheadMaxMs;
}

const count = z.int().min(0);
const nodeName = z.string().min(1).max(nodeNameCharsMax);
const zone = z.string().min(1).max(nodeNameCharsMax).nullable();
const id = z.uuid();
/** Of those that act on it. In answers it stays as it is, so that who asks can say what is wrong. */
const term = z
  .int()
  .min(1)
  .refine((value) => isPlausibleTerm(value), implausibleTerm);
const v = z.literal(version);

const cursorFrame = z.strictObject({
  v,
  node: nodeName,
  /** Tells two processes of one node name apart. */
  instance: id,
  zone,
  /** Whose history the cursors are in. */
  term,
  primaryId: id,
  /** Of the node, see CursorFrame. */
  epoch: count,
  at: z.number().min(0).max(Number.MAX_SAFE_INTEGER),
  inMemory: count,
  persisted: count,
});

/** Who is primary? Asked of everybody; the primary answers. */
const primaryRequest = z.strictObject({ v });
const primaryReply = z.strictObject({ v, node: nodeName, term: z.int().min(1), primaryId: id, last: count });

/**
 * How far is everybody's log? With a candidate, who is about to take office: whoever answers has stopped to follow
 * every primary of an earlier term, and a primary of an earlier term is none any more.
 */
const standingRequest = z.strictObject({
  v,
  candidate: z.strictObject({ node: nodeName, term, primaryId: id }).nullable(),
});
const standingReply = z.strictObject({
  v,
  node: nodeName,
  instance: id,
  zone,
  /** Highest term that it has heard of. */
  term: count,
  /** Null: it has never followed anybody. */
  lineage: id.nullable(),
  /** Term and sequence of its last record. */
  lastTerm: count,
  last: count,
  /** The primary that it follows. */
  following: id.nullable(),
});

/** A replica asks to be counted, at first and then every second. */
const joinRequest = z.strictObject({
  v,
  node: nodeName,
  instance: id,
  zone,
  /** What its clock says, unix milliseconds. */
  clock: z.number(),
});
const joined = z.strictObject({
  v,
  type: z.literal('joined'),
  /** As history-file.ts encodes it. */
  history: z.string().refine(hasPlausibleTerm, implausibleTerm),
  first: count,
  last: count,
  /** Most bytes of one batch. */
  bufferBytes: count,
  /** The epoch of the node's frames must be higher. */
  epochAbove: count,
});
/** Alike in all versions, and understood whatever else is in it: by it a node is told that another version is spoken. */
const refused = z.object({
  v: z.int().min(1),
  type: z.literal('refused'),
  code: z.string().startsWith('ERR_ACKGATE_').nullable(),
  message: z.string(),
});

function hasPlausibleTerm(text: string): boolean {
  const history = decodeHistory(text);
  return typeof history === 'string' || isPlausibleTerm(highestTerm(history));
}

/** The answer is a batch, or a refusal. */
const fetchRequest = z.strictObject({ v, node: nodeName, instance: id, from: z.int().min(1) });

export type FrameMessage = Plain<typeof cursorFrame>;
export type PrimaryRequest = Plain<typeof primaryRequest>;
export type PrimaryReply = Plain<typeof primaryReply>;
export type StandingRequest = Plain<typeof standingRequest>;
export type StandingReply = Plain<typeof standingReply>;
export type JoinRequest = Plain<typeof joinRequest>;
export type Joined = Plain<typeof joined>;
export type Refused = Plain<typeof refused>;
export type FetchRequest = Plain<typeof fetchRequest>;

/** The version is of the wire: nobody else has to write it. */
type Plain<S extends z.ZodType> = Readonly<Omit<z.infer<S>, 'v'>>;

interface Codec<T> {
  encode(message: T): Uint8Array;
  /** The message, or in words what is wrong with it. */
  decode(data: Uint8Array): T | string;
}

export const frameCodec = codec<FrameMessage>(cursorFrame);
export const primaryRequestCodec = codec<PrimaryRequest>(primaryRequest);
export const primaryReplyCodec = codec<PrimaryReply>(primaryReply);
export const standingRequestCodec = codec<StandingRequest>(standingRequest);
export const standingReplyCodec = codec<StandingReply>(standingReply);
export const joinRequestCodec = codec<JoinRequest>(joinRequest);
export const joinReplyCodec = codec<Joined | Refused>(z.discriminatedUnion('type', [joined, refused]));
export const fetchRequestCodec = codec<FetchRequest>(fetchRequest);
export const refusedCodec = codec<Refused>(refused);

export function refusal(code: AckgateErrorCode | null, message: string): Refused {
  return { type: 'refused', code, message };
}

function codec<T extends object>(schema: z.ZodType): Codec<T> {
  return {
    encode(message) {
      return Buffer.from(JSON.stringify({ v: version, ...message }));
    },
    decode(data) {
      let value: unknown;
      try {
        value = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString());
      } catch {
        return 'it is not JSON';
      }
      const checked = schema.safeParse(value);
      if (!checked.success) return otherVersion(value) ?? z.prettifyError(checked.error);
      const { v: _, ...message } = checked.data as { v: number };
      return message as unknown as T;
    },
  };
}

function otherVersion(value: unknown): string | null {
  const { v: found } = Object(value) as { v?: unknown };
  return typeof found === 'number' && found !== version
    ? `it is of version ${found}, this node understands ${version}`
    : null;
}

/** Subjects of one cluster. */
export interface Subjects {
  readonly batch: string;
  readonly frame: string;
  readonly primary: string;
  readonly standing: string;
  join(primaryId: string): string;
  fetch(primaryId: string): string;
}

export function subjectsOf(cluster: string): Subjects {
  const prefix = `ackgate.${cluster}`;
  return {
    batch: `${prefix}.batch`,
    frame: `${prefix}.frame`,
    primary: `${prefix}.primary`,
    standing: `${prefix}.standing`,
    join: (primaryId) => `${prefix}.join.${primaryId}`,
    fetch: (primaryId) => `${prefix}.fetch.${primaryId}`,
  };
}
