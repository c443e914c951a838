import type { RecordableHistogram } from 'node:perf_hooks';
import type { DirectiveStore } from '../../diagnosis/directive.js';
import { monotonicNow } from '../../shared/clock.js';
import { describe } from '../../shared/describe.js';
import { json } from '../answer.js';
import type { AdminContext, Route } from '../context.js';
import { supervisorOf } from '../supervisor-status.js';

const modes = ['local', 'hybrid', 'durably-replicated', 'replicated'] as const;

/** Everything that the live page shows, in one document without secrets. */
export function statusRoute({ options }: AdminContext): Route {
  const { stage, token, instance, extra, logger } = options;
  const supervisor = supervisorOf(options);
  let complained = false;

  /** The application's figures; null when it can't tell them. */
  const app = (): object | null => {
    if (extra === null) return null;
    try {
      // As JSON right here, so that what can't be written spoils nothing else.
      return JSON.parse(JSON.stringify(extra()));
    } catch (error) {
      if (!complained) logger.error({ message: String(error) }, 'the figures of the application failed');
      complained = true;
      return null;
    }
  };

  const GET = () =>
    json(200, {
      nowUnixMs: Date.now(),
      nowNs: monotonicNow(),
      status: stage.status(),
      timings: Object.fromEntries(
        Object.entries(stage.timings).map(([name, histogram]) => [name, summary(histogram)]),
      ),
      supervisor: supervisor.status(),
      directives: directives(),
      diagnosis: { baseline: stage.diagnosis.baseline, kinds: Object.keys(stage.diagnosis.kinds) },
      admin: { directives: token !== null && options.directives !== null, mode: token !== null },
      modes,
      instance,
      app: app(),
    });

  const directives = () => {
    const followed = options.directives ?? stage.diagnosis.store;
    if (followed === null) return null;
    try {
      return readStore(followed);
    } catch (error) {
      // Somebody else's store: its fault must not take away all the other figures.
      return { revision: null, active: null, ageMs: null, lastError: describe(error) };
    }
  };

  return { methods: { GET }, admin: false };
}

function readStore(store: DirectiveStore) {
  const { revision, directives } = store.load();
  const now = Date.now();
  const { lastError } = store;
  return {
    revision,
    active: directives.filter(({ expiresAt }) => now < expiresAt).length,
    ageMs: store.ageMs(),
    lastError: lastError === null ? null : lastError.message,
  };
}

/** Nanoseconds. Without a value, all are 0: what an empty histogram says itself is not a time. */
function summary(histogram: RecordableHistogram): Record<string, number> {
  const { count } = histogram;
  const of = (value: number) => (count === 0 ? 0 : value);
  return {
    count,
    p50: of(histogram.percentile(50)),
    p90: of(histogram.percentile(90)),
    p99: of(histogram.percentile(99)),
    p999: of(histogram.percentile(99.9)),
    max: of(histogram.max),
    mean: of(histogram.mean),
  };
}
