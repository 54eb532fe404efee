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

/**
 * The text of a value in pieces: each is the text of a value `depth` levels down, or what stands between two. Of ten
 * thousand tasks the whole is 5 MB, and would be held once as a text and once more as bytes.
 */
export function* piecesOf(value: Json, depth: number, text: (value: Json) => string = canonical): Generator<string> {
  if (depth === 0 || value === null || typeof value !== 'object') {
    yield text(value);
    return;
  }
  const isList = Array.isArray(value);
  const object = value as { readonly [key: string]: Json | undefined };
  let before = isList ? '[' : '{';
  for (const key of isList ? value.keys() : Object.keys(object).sort(byCodePoint)) {
    const field = object[key];
    if (field === undefined) continue;
    yield isList ? before : `${before}${JSON.stringify(key)}:`;
    yield* piecesOf(field, depth - 1, text);
    before = ',';
  }
  yield `${before === ',' ? '' : before}${isList ? ']' : '}'}`;
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
