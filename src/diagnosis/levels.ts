/** How closely a record is looked at, from not at all to a copy of its frame; each level includes those before it. */
export const diagnosisLevels = ['off', 'shape', 'timing', 'capture'] as const;

/**
 * `off`: nothing. `shape`: counted by size and by what became of it. `timing`: its waits go into the histograms, and
 * its own times into the capture ring. `capture`: its frame too.
 */
export type DiagnosisLevel = (typeof diagnosisLevels)[number];

/** Levels as numbers, in their order. */
export const LevelIndex = { off: 0, shape: 1, timing: 2, capture: 3 } as const satisfies Record<
  DiagnosisLevel,
  number
>;
