import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { metricFamilies } from '#ackgate/metrics/index.js';
import { familiesIn, withVariables, wrongNames } from './support/promql.js';
import { hasPromtool, promtool } from './support/promtool.js';

interface Target {
  refId: string;
  expr: string;
  legendFormat: string;
  datasource: { type: string; uid: string };
}
interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  gridPos: { x: number; y: number; w: number; h: number };
  datasource?: { type: string; uid: string };
  targets?: Target[];
  options?: object;
  fieldConfig?: { defaults: { custom?: object } };
}

const root = fileURLToPath(new URL('..', import.meta.url));
const text = readFileSync(join(root, 'dashboards/ackgate.json'), 'utf8');
const dashboard = JSON.parse(text);
const panels: Panel[] = dashboard.panels;
const graphs = panels.filter(({ type }) => type !== 'row');
const targets = graphs.flatMap((panel) =>
  panel.targets!.map((target) => ({ panel: panel.title, ...target })),
);

/** A directory from which the packages of this one are found. */
function directoryInside(): string {
  mkdirSync(join(root, 'build'), { recursive: true });
  const directory = mkdtempSync(join(root, 'build', 'dashboard-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

describe('the Grafana dashboard', () => {
  test('can be imported: no id of its own, a stable uid, a data source to be chosen', () => {
    expect(dashboard).toMatchObject({ id: null, uid: 'ackgate', title: 'Ackgate', schemaVersion: 42 });
    const variables = dashboard.templating.list.map(({ name, type }: Record<string, string>) => [name, type]);
    expect(variables).toEqual([
      ['datasource', 'datasource'],
      ['job', 'query'],
      ['instance', 'query'],
    ]);
    const sources = [...graphs, ...targets].map(({ datasource }) => datasource);
    // biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's way to write a variable
    for (const source of sources) expect(source).toEqual({ type: 'prometheus', uid: '${datasource}' });
  });

  test('is what the published types of Grafana ask for, options of panels included', async () => {
    // Grafana itself can't be had as a package; its schema can, as types. Enumerations stand in JSON by their values.
    const directory = directoryInside();
    const modules: Record<string, [string, boolean]> = {
      timeseries: ['timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen', true],
      stat: ['stat/panelcfg/x/StatPanelCfg_types.gen', false],
      heatmap: ['heatmap/panelcfg/x/HeatmapPanelCfg_types.gen', true],
      'state-timeline': ['statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen', true],
    };
    const lines = [
      `import type { Dashboard } from '@grafana/schema';`,
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a template type
      'type Plain<T> = T extends string ? `${T}` : T extends (infer E)[] ? Plain<E>[]',
      '  : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;',
      `export const dashboard: Plain<Dashboard> = ${text};`,
    ];
    for (const [index, { type, options, fieldConfig }] of graphs.entries()) {
      const [path, hasCustom] = modules[type]!;
      const module = `import('@grafana/schema/dist/esm/raw/composable/${path}')`;
      lines.push(`export const options${index}: Plain<${module}.Options> = ${JSON.stringify(options)};`);
      if (!hasCustom) continue;
      const custom = JSON.stringify(fieldConfig!.defaults.custom);
      lines.push(`export const custom${index}: Plain<${module}.FieldConfig> = ${custom};`);
    }
    writeFileSync(join(directory, 'dashboard.ts'), lines.join('\n'));
    const compilerOptions = { noEmit: true, strict: true, skipLibCheck: true, module: 'nodenext', types: [] };
    writeFileSync(
      join(directory, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, files: ['dashboard.ts'] }),
    );
    const args = [join(root, 'node_modules/typescript/bin/tsc'), '-p', directory];
    const said = await promisify(execFile)(process.execPath, args, { cwd: directory }).then(
      () => '',
      (error) => String(error.stdout || error),
    );
    expect(said).toBe('');
  });

  test('has panels with ids of their own, side by side and not one over another', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const taken = new Map<string, string>();
    for (const { title, gridPos } of panels) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.get(`${x}/${y}`), `${title} lies over`).toBeUndefined();
          taken.set(`${x}/${y}`, title);
        }
      }
    }
  });

  test('says of each panel what it shows, and asks for something in it', () => {
    for (const { title, description, targets: asked } of graphs) {
      expect(description, title).toMatch(/\.$/);
      expect(asked!.length, title).toBeGreaterThan(0);
      expect(new Set(asked!.map(({ refId }) => refId)).size, title).toBe(asked!.length);
    }
  });

  test('asks only for metrics, labels and values that there are, of the chosen job and instance', () => {
    for (const { panel, expr, legendFormat } of targets) {
      const inLegend = [...legendFormat.matchAll(/\{\{\s*(\w+)\s*\}\}/g)].map(([, label]) => label!);
      expect(wrongNames(expr, inLegend), panel).toEqual([]);
      const selectors = expr.match(/ackgate_\w+/g)!.length;
      expect(expr.split('{job=~"$job",instance=~"$instance"').length - 1, panel).toBe(selectors);
    }
  });

  test('shows every metric there is', () => {
    const shown = new Set(targets.flatMap(({ expr }) => familiesIn(expr)));
    expect(metricFamilies.map(({ name }) => name).filter((name) => !shown.has(name))).toEqual([]);
  });

  test('would notice a name that is not there', () => {
    expect(wrongNames('rate(ackgate_drop_total[1m])')).toEqual(['no metric ackgate_drop_total']);
    expect(wrongNames('ackgate_drops_total{by="x"}')).toEqual(['ackgate_drops_total has no label by']);
    expect(wrongNames('ackgate_drops_total{reason=~"blocked|bored"}')).toEqual([
      'ackgate_drops_total: reason is never "bored"',
    ]);
    expect(wrongNames('sum by (mode) (ackgate_sends_total)')).toHaveLength(1);
    expect(wrongNames('ackgate_flush_connections')).toEqual(['no metric ackgate_flush_connections']);
  });

  test.skipIf(!hasPromtool)('asks in PromQL that Prometheus takes', () => {
    const rules = targets.map(({ expr }, index) => ({ record: `panel:${index}`, expr: withVariables(expr) }));
    const file = join(directoryInside(), 'rules.yaml');
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'panels', rules }] }));
    const { status, output } = promtool(['check', 'rules', file]);
    expect(output).toContain(`${rules.length} rules found`);
    expect(status).toBe(0);
  });
});
