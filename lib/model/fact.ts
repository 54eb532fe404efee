import type { Json } from './json.ts';

/** A value that was learned from the world. */
export type Known<T extends Json = Json> = { readonly known: true; readonly value: T };

/** A value that nobody asked for yet: all that the dry performer ever answers. */
export type Unknown = { readonly known: false };

/** What a performer answers. A live performer's facts are `Known` by type. */
export type Fact = Known | Unknown;

export const unknown: Unknown = { known: false };

export const known = <T extends Json>(value: T): Known<T> => ({ known: true, value });
