import { monotonicNow } from '../../shared/clock.js';
import { json } from '../answer.js';
import type { AdminContext, Route } from '../context.js';
import { stageHealth, whyNotReady } from '../stage-health.js';

/** Liveness: whether restarting the process could help. */
export function healthRoute({ options }: AdminContext): Route {
  const GET = () => {
    const { dead, ...rest } = stageHealth(options.stage.status(), monotonicNow(), options.hangMs);
    return json(dead.length === 0 ? 200 : 503, { ok: dead.length === 0, reasons: dead, ...rest });
  };
  return { methods: { GET }, admin: false };
}

/** Readiness: whether orders sent here can be acknowledged. */
export function readyRoute({ options, withdrawn }: AdminContext): Route {
  const GET = () => {
    const { stage, hangMs, journal } = options;
    const status = stage.status();
    const health = stageHealth(status, monotonicNow(), hangMs);
    const failed = journal !== null && journal.failure !== null;
    const reasons = whyNotReady(status, health, failed, options);
    if (withdrawn.aborted) reasons.unshift('shutting_down');
    return json(reasons.length === 0 ? 200 : 503, {
      ok: reasons.length === 0,
      reasons,
      state: health.state,
      lastRoundMs: health.lastRoundMs,
    });
  };
  return { methods: { GET }, admin: false };
}
