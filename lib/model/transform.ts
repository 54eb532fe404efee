import { textOf, sameJson, type Json } from './json.ts';

/** The registered transforms: named, pure, JSON to JSON. A choice on refs is one of these, never a closure. */
export const transforms = {
  field: (from: Json, key: Json): Json =>
    from !== null && typeof from === 'object' && Object.hasOwn(from, key as string)
      ? ((from as { readonly [key: string]: Json })[key as string] ?? null)
      : null,
  equals: (a: Json, b: Json): Json => sameJson(a, b),
  not: (a: Json): Json => a !== true,
  and: (...all: Json[]): Json => all.every((one) => one === true),
  or: (...all: Json[]): Json => all.some((one) => one === true),
  isNull: (a: Json): Json => a === null,
  atLeast: (a: Json, b: Json): Json => typeof a === 'number' && typeof b === 'number' && a >= b,
  isEmpty: (a: Json): Json => Array.isArray(a) && a.length === 0,
  oneOf: (a: Json, all: Json): Json => Array.isArray(all) && all.some((one) => sameJson(one as Json, a)),
  /** Puts a text before another; `null` stays `null`. */
  prefix: (before: Json, a: Json): Json => (a === null ? null : textOf(before) + textOf(a)),
  /** A flag before each element: argv of a repeated flag. */
  flagged: (flag: Json, all: Json): Json => (all as Json[]).flatMap((one) => [flag, one]),
  otherwise: (a: Json, fallback: Json): Json => a ?? fallback,
  without: (all: Json, these: Json): Json =>
    (all as Json[]).filter((one) => !(these as Json[]).some((other) => sameJson(one, other))),
} as const;

export type TransformName = keyof typeof transforms;
