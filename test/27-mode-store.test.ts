import { InMemoryText } from './support/in-memory-text.js';
import { modeStoreContract } from './support/mode-store-contract.js';
import { ScriptedSource } from './support/scripted-source.js';

modeStoreContract('a text in memory', () => {
  const shared = new InMemoryText();
  return {
    sources: [shared.source(), shared.source()],
    put: (text) => shared.put(text),
    delete: () => shared.delete(),
  };
});

modeStoreContract('a source that tells everything twice, and too early', () => {
  const source = new ScriptedSource();
  const told = {
    read: () => source.read(),
    write: (text: string, ifRevision: number | undefined) => {
      source.tell();
      return source.write(text, ifRevision);
    },
    watch: (changed: () => void, failed: (error: unknown) => void) =>
      source.watch(() => {
        changed();
        changed();
      }, failed),
  };
  return { sources: [told, told], put: (text) => source.put(text), delete: () => source.delete() };
});

modeStoreContract('a source that tells nothing', () => {
  const source = new ScriptedSource();
  source.tells = false;
  return { sources: [source, source], put: (text) => source.put(text), delete: () => source.delete() };
});
