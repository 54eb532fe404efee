import type { Json } from './json.ts';
import { Ref, plain, type Value } from './ref.ts';
import type { TransformName } from './transform.ts';

const apply = <T>(name: TransformName, ...args: readonly unknown[]): Ref<T> =>
  new Ref<T>({ $apply: name, to: args.map(plain) });

export const equals = <T extends Json>(a: Value<T>, b: Value<NoInfer<T>>): Ref<boolean> => apply('equals', a, b);
export const not = (a: Value<boolean>): Ref<boolean> => apply('not', a);
export const and = (...all: readonly Value<boolean>[]): Ref<boolean> => apply('and', ...all);
export const or = (...all: readonly Value<boolean>[]): Ref<boolean> => apply('or', ...all);
export const isNull = (a: Ref<Json>): Ref<boolean> => apply('isNull', a);
export const atLeast = (a: Value<number>, b: Value<number>): Ref<boolean> => apply('atLeast', a, b);
export const isEmpty = (a: Ref<readonly Json[]>): Ref<boolean> => apply('isEmpty', a);
export const oneOf = <T extends Json>(a: Value<T>, all: Value<readonly NoInfer<T>[]>): Ref<boolean> =>
  apply('oneOf', a, all);
export const otherwise = <T extends Json>(a: Ref<T | null>, fallback: Value<T>): Ref<T> =>
  apply('otherwise', a, fallback);
export const without = <T extends Json>(all: Value<readonly T[]>, these: Value<readonly T[]>): Ref<readonly T[]> =>
  apply('without', all, these);
export const prefix = (before: string, a: Ref<string | null>): Ref<string | null> => apply('prefix', before, a);
export const flagged = (flag: string, all: Value<readonly string[]>): Ref<readonly string[]> =>
  apply('flagged', flag, all);
