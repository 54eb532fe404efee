/** Plain data: what a plan, a journal line and an agent message are made of. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/**
 * The one text of a JSON value: keys sorted by code point, no blanks; equal values have equal texts. For whole numbers
 * it is what Python's `json.dumps(sort_keys=True, separators=(',', ':'), ensure_ascii=False)` writes.
 */
export function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const fields = Object.entries(value as { [key: string]: Json | undefined })
    .filter((entry): entry is [string, Json] => entry[1] !== undefined)
    .sort(([a], [b]) => byCodePoint(a, b));
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${canonical(field)}`).join(',')}}`;
}

/** A value as text: a string as it is, nothing for null, everything else as JSON. */
export function textOf(value: Json): string {
  return typeof value === 'string' ? value : value === null ? '' : JSON.stringify(value);
}

/** True when two JSON values are the same data. */
export function sameJson(a: Json, b: Json): boolean {
  return a === b || canonical(a) === canonical(b);
}

/** UTF-16 units sort a surrogate pair before U+E000; by code point, as in UTF-8 and in Python, it comes after. */
function byCodePoint(a: string, b: string): number {
  for (let at = 0; at < Math.min(a.length, b.length); at++) {
    const [x, y] = [a.codePointAt(at) as number, b.codePointAt(at) as number];
    if (x !== y) return x - y;
  }
  return a.length - b.length;
}
