/** Longest time that a timer can be set for, in milliseconds: a longer one would be over at once. */
export const timerMsMax = 2 ** 31 - 1;
