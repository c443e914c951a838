/**
 * A list that has every word of a union: the compiler refuses one that lacks a word, or has another one. So the union can
 * be written out, each word with its meaning.
 */
export const everyOf =
  <Word extends string>() =>
  <const List extends readonly Word[]>(list: [Word] extends [List[number]] ? List : never): List =>
    list;
