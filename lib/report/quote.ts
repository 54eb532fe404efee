/** One word as a POSIX shell would need it: bare where it can be, otherwise in single quotes. */
export function quoteWord(word: string): string {
  if (/^[A-Za-z0-9_@%+:,./=-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
