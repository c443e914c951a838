import type { IncomingMessage } from 'node:http';
import { type Answer, refusal } from './answer.js';
import { oneParameter, readWhole, type Target } from './request.js';

/** The revision that has to be in force, null for any. Given both ways, both have to say the same. */
export function readCondition({ headers }: IncomingMessage, { query }: Target): number | null | 'bad' {
  const header = headers['if-match'];
  const parameter = oneParameter(query, 'ifRevision');
  const tag = header === undefined || header.trim() === '*' ? null : readTag(header.trim());
  const given = parameter === null ? null : (readWhole(parameter ?? '') ?? 'bad');
  if (tag === 'bad' || given === 'bad') return 'bad';
  if (tag !== null && given !== null && tag !== given) return 'bad';
  return tag ?? given;
}

export function badRevision(): Answer {
  return refusal(400, 'bad_revision', 'If-Match has to be a revision such as "5", ifRevision one such as 5');
}

function readTag(text: string): number | 'bad' {
  const digits = /^"(\d+)"$|^(\d+)$/.exec(text);
  return readWhole(digits?.[1] ?? digits?.[2] ?? '') ?? 'bad';
}
