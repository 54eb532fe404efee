/** Plain data: what a plan, a journal line and an agent message are made of. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/**
 * The one text of a JSON value: keys sorted by code point, no blanks; equal values have equal texts. For whole numbers
 * it is what Python's `json.dumps(sort_keys=True, separators=(',', ':'), ensure_ascii=False)` writes.
 */
export function canonical(value: Json): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const object = value as { readonly [key: string]: Json | undefined };
  let fields = '';
  for (const key of Object.keys(object).sort(byCodePoint)) {
    const field = object[key];
    if (field !== undefined) fields += `${fields && ','}${JSON.stringify(key)}:${canonical(field)}`;
  }
  return `{${fields}}`;
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
  let at = 0;
  while (at < a.length && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  if (at === a.length || at === b.length) return a.length - b.length;
  return ranked(a.charCodeAt(at)) - ranked(b.charCodeAt(at));
}

const ranked = (unit: number): number => (unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800);
