import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SoakResult } from '../run-record.js';
import { reportHtml } from './html.js';
import { reportJson } from './json.js';
import { reportMarkdown } from './markdown.js';

/**
 * Writes `report.json`, `report.md` and `report.html` into a folder, each whole or not at all. One that can't be made
 * (the page needs the bundled charts) does not keep the others from being written; it rejects after that.
 */
export async function writeArtifacts(directory: string, result: SoakResult): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const reports = {
    'report.json': reportJson,
    'report.md': reportMarkdown,
    'report.html': reportHtml,
  };
  const errors: unknown[] = [];
  for (const [name, report] of Object.entries(reports)) {
    try {
      replace(join(directory, name), await report(result));
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, `${errors.length} reports could not be written`);
}

function replace(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, text);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
