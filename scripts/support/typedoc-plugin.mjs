import { Comment, Converter, IntrinsicType, LiteralType, ReflectionKind, Renderer } from 'typedoc';

/**
 * What the API pages need and typedoc.json can't say.
 *
 * @param {import('typedoc').Application} app
 */
export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const property of project.getReflectionsByKind(ReflectionKind.Property)) describeByValue(property);
    for (const page of project.getReflectionsByKind(ReflectionKind.Document)) {
      mend(page.content);
    }
    mend(project.readme ?? []);
    linkPages(project);
  });
  // After typedoc has made its groups.
  app.converter.on(
    Converter.EVENT_RESOLVE_END,
    ({ project }) => {
      for (const { groups } of project.getReflectionsByKind(ReflectionKind.Module)) {
        for (const { children } of groups ?? []) children.sort((one, other) => rank(one) - rank(other));
      }
    },
    -10_000,
  );
  // Addresses have been made by now, of the files' names: they stay when a heading is changed.
  app.renderer.on(Renderer.EVENT_BEGIN, ({ project }) => {
    for (const page of project.getReflectionsByKind(ReflectionKind.Document)) page.name = titleOf(page);
  });
}

/** Where a reader begins: first of its group. The others keep the order of the sources. */
const first = ['startStage', 'openStage', 'createInlineStage', 'Stage', 'StageOptions'];
const rank = ({ name }) => (first.indexOf(name) + first.length + 1) % (first.length + 1);

/**
 * Constants such as `faults` map each name to a sentence that says what it means. That sentence is the name's
 * documentation, so that it need not be written twice.
 */
function describeByValue(property) {
  const text = property.type instanceof LiteralType ? property.type.value : null;
  const ofConstant = property.parent?.parent?.kindOf(ReflectionKind.Variable);
  if (!ofConstant || property.comment || typeof text !== 'string' || !text.includes(' ')) return;
  property.comment = new Comment([{ kind: 'text', text }]);
  property.type = new IntrinsicType('string');
}

/** Pages of docs/ appear under their headings, not under their files' names. */
function titleOf({ content, name }) {
  const heading = /^# (.+)$/m.exec(content.map(({ text }) => text).join(''));
  return heading === null ? name : heading[1].replaceAll('`', '');
}

/** Comments name pages by their paths, such as docs/SOAK.md; here they are one click away. */
function linkPages(project) {
  const documents = project.getReflectionsByKind(ReflectionKind.Document);
  const pages = new Map(documents.map((page) => [`${page.name}.md`, page]));
  const linked = (part) => {
    if (part.kind !== 'text') return part;
    return part.text.split(/(docs\/[A-Z]+\.md)/).map((text) => {
      const target = pages.get(text);
      return target === undefined
        ? { kind: 'text', text }
        : { kind: 'inline-tag', tag: '@link', text: titleOf(target), target };
    });
  };
  for (const { comment, type } of Object.values(project.reflections)) {
    // What is said of the members of a union.
    if (type?.elementSummaries) {
      type.elementSummaries = type.elementSummaries.map((parts) => parts.flatMap(linked));
    }
    if (comment === undefined) continue;
    comment.summary = comment.summary.flatMap(linked);
    for (const tag of comment.blockTags) tag.content = tag.content.flatMap(linked);
  }
}

/** What is written for the repository, as pages show it. */
function mend(parts) {
  let before = '';
  for (const [index, part] of parts.entries()) {
    // What is code in a heading would be missing in *On This Page*.
    if (part.kind === 'code' && /(^|\n)#+ [^\n]*$/.test(before)) {
      parts[index] = { kind: 'text', text: part.text.replaceAll('`', '') };
    }
    before += part.text;
    // Blocks that name no language are drawings and output: nothing to highlight.
    if (part.kind === 'code') part.text = part.text.replace(/^(`{3,})(?=\n)/, '$1text');
    // Folders are not among the pages: of a link to one, its text is left.
    if (part.kind === 'relative-link' && part.text.endsWith('/')) {
      parts[index] = { kind: 'text', text: '' };
      const [opening, after] = [parts[index - 1], parts[index + 1]];
      opening.text = opening.text.replace(/\[([^[\]]*)\]\($/, '$1');
      after.text = after.text.replace(/^\)/, '');
    }
  }
}
