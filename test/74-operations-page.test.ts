import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';

const read = (name: string) => readFile(new URL(`../${name}`, import.meta.url), 'utf8');
const [page, alerts, metrics] = await Promise.all(
  ['docs/OPERATIONS.md', 'dashboards/alerts.yaml', 'docs/METRICS.md'].map(read),
);
const names = [...alerts.matchAll(/^\s+- alert: (\w+)$/gm)].map(([, name]) => name);

describe('the page for operators', () => {
  test.each(names)('says when %s is raised, and what to do about it', (name) => {
    const rule = alerts.slice(alerts.indexOf(`- alert: ${name}\n`)).split('- alert: ')[1];
    const expression = rule
      .slice(rule.indexOf('expr:') + 5, rule.search(/\n\s+(for|labels):/))
      .replace('>-', '')
      .split(/\s+/)
      .filter((word) => word !== '')
      .join(' ');
    const severity = /severity: (\w+)/.exec(rule)?.[1];
    const lasting = /\n\s+for: (\w+)/.exec(rule)?.[1];
    const when = `\`${expression.replaceAll('|', '\\|')}\`${lasting === undefined ? '' : ` for ${lasting}`}`;
    expect(page).toContain(`| [${name}](#${name.toLowerCase()}) | ${when} | ${severity} |\n`);
    const section = page.split(`\n### ${name}\n`)[1]?.split(/\n##/)[0] ?? '';
    expect(section.trim().length).toBeGreaterThan(40);
    expect(rule).toContain(`runbook: docs/OPERATIONS.md#${name.toLowerCase()}\n`);
  });

  test('has no alert that is not raised', () => {
    expect([...page.matchAll(/^### (Ackgate\w+)$/gm)].map(([, name]) => name)).toEqual(names);
  });

  test('names no metric that there is not', () => {
    const known = [...metrics.matchAll(/^\| `(ackgate_\w+)` \|/gm)].map(([, name]) => name);
    expect(known.length).toBeGreaterThan(50);
    for (const [name] of page.matchAll(/ackgate_\w+/g)) {
      expect(known).toContain(name.replace(/_(sum|count|bucket)$/, ''));
    }
  });

  test('links to pages and sections that exist', async () => {
    for (const [, target] of page.matchAll(/\]\(([^)#]*)(?:#[^)]*)?\)/g)) {
      if (target !== '') expect((await read(`docs/${target}`)).length, target).toBeGreaterThan(0);
    }
    const anchors = [...page.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
      title
        .toLowerCase()
        .replaceAll(/[^\w\s-]/g, '')
        .replaceAll(' ', '-'),
    );
    for (const [, anchor] of page.matchAll(/\]\(#([^)]*)\)/g)) expect(anchors).toContain(anchor);
  });
});
