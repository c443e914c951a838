import { AckgateError } from '../../errors.js';
import type { JournalSource } from '../../metrics/index.js';
import { type Answer, refusal } from '../answer.js';
import type { AdminContext, Route } from '../context.js';
import { supervisorOf } from '../supervisor-status.js';

interface MetricsText {
  readonly contentType: string;
  metrics(): string | Promise<string>;
}

const textFormat = 'text/plain; version=0.0.4; charset=utf-8';

/** Prometheus' text. Calls at the same time share one: many scrapers cost no more than one. */
export function metricsRoute({ options }: AdminContext): Route {
  const { stage, metrics, journal } = options;
  const supervisor = supervisorOf(options);
  let source: MetricsText | null = metrics === null ? null : { contentType: textFormat, metrics };
  let underway: Promise<Answer> | null = null;

  const collect = async (): Promise<Answer> => {
    if (source === null) {
      const { createPrometheusRegistry } = await import('../../metrics/index.js');
      source = createPrometheusRegistry(stage, { supervisor, ...(isSource(journal) && { journal }) });
    }
    return { status: 200, type: source.contentType, body: await source.metrics() };
  };

  const GET = async () => {
    underway ??= collect().finally(() => {
      underway = null;
    });
    try {
      return await underway;
    } catch (error) {
      if (!(error instanceof AckgateError) || error.code !== 'ERR_ACKGATE_PEER_MISSING') throw error;
      return refusal(501, 'no_metrics_client', error.message);
    }
  };
  return { methods: { GET }, admin: false };
}

/** For `/ready` its failure is enough; a whole journal has its own series. */
function isSource(journal: object | null): journal is JournalSource {
  const { lastSequence, primaryCursor } = (journal ?? {}) as Partial<JournalSource>;
  return typeof lastSequence === 'number' && typeof primaryCursor === 'number';
}
