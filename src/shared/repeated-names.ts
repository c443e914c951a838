/** The frame, the list and a directive; what lies deeper is refused for being there. */
const depthMax = 3;

/** Whether an object in a text that is JSON, no deeper than a directive is, has the same name twice. */
export function repeatsName(json: string): boolean {
  const objects: Set<string>[] = [];
  let depth = 0;
  let nameStart = 0;
  let nameEnd = 0;
  for (let at = 0; at < json.length; at++) {
    switch (json[at]) {
      case '"':
        nameStart = at;
        at = stringEnd(json, at);
        nameEnd = at + 1;
        break;
      case '{':
      case '[':
        if (++depth <= depthMax) objects[depth] = new Set();
        break;
      case '}':
      case ']':
        depth--;
        break;
      case ':': {
        if (depth > depthMax) break;
        const name: string = JSON.parse(json.slice(nameStart, nameEnd));
        if (objects[depth].has(name)) return true;
        objects[depth].add(name);
      }
    }
  }
  return false;
}

/** Where the closing quote is. */
function stringEnd(json: string, start: number): number {
  let at = start + 1;
  while (json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at;
}
