// The variants of bench/22-diagnosis.mjs: what is in force while records go through the stage.

const none = { revision: 1, directives: [] };
const hourMs = 3_600_000;
const set = (...directives) => ({
  revision: 1,
  directives: directives.map((directive, i) => ({
    id: `d${i}`,
    level: 'capture',
    expiresAt: Date.now() + hourMs,
    ...directive,
  })),
});
const elsewhere = (count) => set(...Array.from({ length: count }, (_, i) => ({ connection: 1_000_000 + i })));

/** `before` is in force while the code warms up, `set` while it is measured; `off` never had either. */
export const variants = {
  off: {},
  'off after capture': { before: set({}), set: none },
  '1 directive, selects nothing': { set: elsewhere(1) },
  '16 directives, select nothing': { set: elsewhere(16) },
  'timing, 1 in 1,000': { set: set({ level: 'timing', samplePerMille: 1 }) },
  shape: { set: set({ level: 'shape' }) },
  timing: { set: set({ level: 'timing' }) },
  capture: { set: set({ level: 'capture' }) },
};
