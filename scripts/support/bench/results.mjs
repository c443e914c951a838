import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { benches } from './benches.mjs';

const isDay = (name) => /^\d{4}-\d{2}-\d{2}$/.test(name);

/** Of a short run that only shows that the bench works: its figures are nobody's. */
const isMeasurement = (result) => result.smoke !== true;

/**
 * The newest result of each bench below `folder`, by the bench's name, each with the `file` that it is from; without an
 * entry for a bench that has none.
 */
export function newestResults(folder) {
  const days = existsSync(folder) ? readdirSync(folder).filter(isDay).sort().reverse() : [];
  const results = {};
  for (const { name } of benches) {
    for (const day of days) {
      const path = join(folder, day, `${name}.json`);
      if (!existsSync(path)) continue;
      const result = JSON.parse(readFileSync(path, 'utf8'));
      if (!isMeasurement(result)) continue;
      results[name] = { ...result, file: `${day}/${name}.json` };
      break;
    }
  }
  return results;
}
