import type { StatusAnswer } from './answer.js';
import { span } from './format.js';
import { degradedBecause } from './needs.js';

/** How it looks, from fine to bad; shown as a word and a shape too, never by colour alone. */
export type Tone = 'good' | 'waiting' | 'bad';

export interface Headline {
  tone: Tone;
  /** Stays the same while nothing but the numbers change: what a screen reader is told. */
  spoken: string;
  /** The same with the numbers of the moment. */
  text: string;
  detail: string;
}

/** What the gate does to the traffic just now. */
export type GateState = 'open' | 'closed' | 'degraded';

/** Shorter waits are the ordinary rhythm of a journal that syncs group after group. */
const closedSecondsMin = 0.3;
/** A stage that has not come round for so long does not run. */
const stalledSeconds = 2;

export interface Standing {
  gate: GateState;
  /** How long the first record that waits has been waiting, in seconds. */
  closedSeconds: number;
}

export function standing({ status }: StatusAnswer, closedSeconds: number): Standing {
  const gate =
    status.policyDegraded === 1 ? 'degraded' : closedSeconds >= closedSecondsMin ? 'closed' : 'open';
  return { gate, closedSeconds };
}

export function headline(
  answer: StatusAnswer,
  { gate, closedSeconds }: Standing,
  releasing: boolean,
): Headline {
  const { status } = answer;
  switch (status.state) {
    case 'fenced':
      return plain(
        'bad',
        'Fenced',
        'This instance has lost its epoch to another one. It sends nothing any more.',
      );
    case 'failed':
      return plain('bad', 'Failed', 'The stage has ended with an error; see the log of the server.');
    case 'closed':
      return plain('bad', 'Closed', 'The stage has ended.');
    case 'draining':
      return plain('waiting', 'Closing', 'Takes nothing new and sends what is durable.');
    case 'starting':
      return plain('waiting', 'Starting', '');
  }
  const idleSeconds = (answer.nowNs - status.lastDoWorkNs) / 1e9;
  if (idleSeconds > stalledSeconds) {
    return {
      tone: 'bad',
      spoken: 'The stage does not run',
      text: `The stage has not run for ${span(idleSeconds)}`,
      detail: 'Its thread is stuck or has no processor. The figures below are as old.',
    };
  }
  if (gate === 'degraded') return degraded(answer);
  if (gate === 'closed') return closed(answer, closedSeconds);
  return plain(
    'good',
    releasing ? 'Acknowledging' : 'Ready',
    releasing ? 'Responses leave as soon as they are durable.' : 'Nothing waits and nothing is to be sent.',
  );
}

/** @param seconds since the last answer; null: there never was one */
export function notAnswering(seconds: number | null, reason: string): Headline {
  const since = seconds === null ? '' : ` for ${span(seconds)}`;
  return {
    tone: 'bad',
    spoken: 'Not answering',
    text: `Not answering${since}`,
    detail: `${reason} ${seconds === null ? '' : 'The figures below are the last known. '}Trying again.`,
  };
}

function plain(tone: Tone, text: string, detail: string): Headline {
  return { tone, spoken: text, text, detail };
}

function closed({ status }: StatusAnswer, seconds: number): Headline {
  const who = { journal: 'waiting for the journal', replication: 'waiting for replicas' };
  const { blocker } = status;
  const reason = blocker === 'journal' || blocker === 'replication' ? who[blocker] : 'waiting to be durable';
  return {
    tone: 'waiting',
    spoken: `Gate closed: ${reason}`,
    text: `Gate closed for ${span(seconds)}: ${reason}`,
    detail: 'Records wait in the ring and leave, in order, as soon as they are durable.',
  };
}

function degraded({ status }: StatusAnswer): Headline {
  return {
    tone: 'bad',
    spoken: 'Degraded',
    text: `Degraded: ${degradedBecause(status.policy, status.connectedNodes)}`,
    detail: 'Nothing can be acknowledged before more nodes connect or the mode is changed.',
  };
}
