/** Largest sequence and connection id: integers that a JavaScript number holds exactly. */
export const sequenceMax = Number.MAX_SAFE_INTEGER;
