// What has to agree before a version may be published, and the one style that CHANGELOG.md has.

/** In this order below a version; one that has no entries is left out. */
export const categories = ['Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security'];

const versionLine = /^## \[(\d+\.\d+\.\d+(?:-[\w.]+)?)\] - (\d{4}-\d{2}-\d{2}|unreleased)$/;

/** The versions of a changelog, newest first as they stand there: `{ version, date, lines }`. */
function sections(changelog) {
  const found = [];
  for (const line of changelog.split('\n')) {
    const [, version, date] = versionLine.exec(line) ?? [];
    if (version !== undefined) found.push({ version, date, lines: [] });
    else found.at(-1)?.lines.push(line);
  }
  return found;
}

/** What stands below a version, without blank lines at its ends; null when the changelog does not have it. */
export function releaseNotes(changelog, version) {
  const section = sections(changelog).find((each) => each.version === version);
  return section === undefined ? null : section.lines.join('\n').trim();
}

/** Where a changelog leaves its style. */
export function changelogProblems(changelog) {
  const problems = [];
  const versions = sections(changelog);
  if (versions.length === 0) problems.push('it has no version: "## [1.2.3] - 2026-01-31", or "- unreleased"');
  for (const line of changelog.split('\n')) {
    if (line.startsWith('## ') && !versionLine.test(line))
      problems.push(`"${line}" is not a version and its date`);
  }
  for (const [index, { version, date, lines }] of versions.entries()) {
    if (index > 0 && date === 'unreleased') problems.push(`${version} is unreleased, below a newer version`);
    const headings = lines.filter((line) => line.startsWith('### ')).map((line) => line.slice(4));
    const places = headings.map((heading) => categories.indexOf(heading));
    for (const [i, heading] of headings.entries()) {
      if (places[i] < 0) problems.push(`${version}: "${heading}" is none of ${categories.join(', ')}`);
      else if (places.slice(0, i).some((place) => place >= places[i])) {
        problems.push(`${version}: "${heading}" is out of order, or there twice`);
      }
    }
    for (const part of lines.join('\n').split(/^### /m).slice(1)) {
      if (!/^- /m.test(part)) problems.push(`${version}: "${part.split('\n')[0]}" has no entries`);
    }
    if (headings.length === 0) problems.push(`${version} has no ### heading`);
  }
  return problems;
}

/** Why `tag` can't be published as what the files say; none when it can. */
export function releaseProblems({ tag, manifest, lock, changelog }) {
  const { version } = manifest;
  const problems = changelogProblems(changelog).map((problem) => `CHANGELOG.md: ${problem}`);
  if (tag !== `v${version}`)
    problems.push(`the tag is ${tag}, package.json says ${version}: v${version} was due`);
  for (const locked of [lock.version, lock.packages[''].version]) {
    if (locked !== version) problems.push(`package-lock.json says ${locked}: run npm install`);
  }
  const versions = sections(changelog);
  const section = versions.find((each) => each.version === version);
  if (section === undefined) problems.push(`CHANGELOG.md has no "## [${version}] - YYYY-MM-DD"`);
  else if (section.date === 'unreleased')
    problems.push(`CHANGELOG.md says that ${version} is unreleased: date it`);
  else if (versions[0] !== section) problems.push(`${version} is not the newest in CHANGELOG.md`);
  if (manifest.private) problems.push('package.json says "private"');
  return [...new Set(problems)];
}
