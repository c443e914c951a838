import type { CapturedRecord } from '../../diagnosis/api.js';
import { json, refusal } from '../answer.js';
import type { AdminContext, Call, Route } from '../context.js';
import { oneParameter, readWhole } from '../request.js';

/** Most entries in one answer; `more` says that there are more. */
const entriesMax = 1000;

/** The records that were taken down, oldest first, from `after` on. */
export function captureRoute({ options, audit }: AdminContext): Route {
  const GET = ({ target, caller }: Call) => {
    const text = oneParameter(target.query, 'after');
    const after = text === null ? 0 : readWhole(text ?? '');
    if (after === null) {
      return refusal(400, 'bad_after', 'after has to be the number of a record, given once');
    }
    const all = options.stage.diagnosis.captured(after);
    const entries = all.slice(0, entriesMax);
    const last = entries.at(-1)?.number ?? after;
    const newest = all.at(-1)?.number ?? after;
    // Whoever reads the records sees what clients were told.
    const read = { from: `after ${after}`, to: `up to ${last}` };
    audit.done({ who: caller, action: 'capture', ...read }, 'captured records read');
    return json(200, {
      entries: entries.map(asJson),
      last,
      newest,
      more: all.length > entries.length,
    });
  };
  return { methods: { GET }, admin: true };
}

function asJson(record: CapturedRecord): object {
  return { ...record, body: Buffer.from(record.body).toString('hex') };
}
