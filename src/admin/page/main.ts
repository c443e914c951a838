/** The live page: asks for the status, and shows what it means. */
import { Announcer } from './announcer.js';
import type { StatusAnswer } from './answer.js';
import { Charts } from './charts.js';
import { element } from './dom.js';
import { headline, notAnswering } from './headline.js';
import { History } from './history.js';
import { ModeSwitch } from './mode-switch.js';
import { Poll } from './poll.js';
import { View } from './view.js';

const view = new View();
const charts = new Charts(element('charts'));
const announcer = new Announcer(element('announcer'));
const history = new History();
/** Unix milliseconds of the last answer. */
let answeredAtMs: number | null = null;

const clockTime = (ms: number) => new Date(ms).toLocaleTimeString('en-GB');

function onAnswer(answer: StatusAnswer): void {
  const nowMs = Date.now();
  answeredAtMs = nowMs;
  const standing = history.add(answer, nowMs);
  const news = headline(answer, standing, history.releasing);
  // One answer alone does not tell whether anything moves.
  if (news.tone !== 'good' || history.intervals.length > 1) {
    view.headline(news);
    announcer.say(news.spoken);
  }
  const { restartedAtMs } = history;
  const restarted =
    restartedAtMs === null ? '' : `; the server was started anew before ${clockTime(restartedAtMs)}`;
  view.freshness(`As of ${clockTime(nowMs)}${restarted}`);
  view.answer(answer, history.latest!);
  modeSwitch.show(answer);
  showIntervals();
}

function onMiss(reason: string): void {
  const nowMs = Date.now();
  history.miss(nowMs);
  const news = notAnswering(answeredAtMs === null ? null : (nowMs - answeredAtMs) / 1000, reason);
  view.headline(news);
  announcer.say(news.spoken);
  view.freshness(answeredAtMs === null ? '' : `As of ${clockTime(answeredAtMs)}`);
  showIntervals();
}

function showIntervals(): void {
  charts.show(history.intervals);
  view.intervals(history.intervals);
}

const poll = new Poll({ onAnswer, onMiss });
const modeSwitch = new ModeSwitch(() => poll.now());
poll.now();
