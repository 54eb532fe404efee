import { textOf, type Json } from './json.ts';
import { known, unknown, type Fact } from './fact.ts';
import { transforms, type TransformName } from './transform.ts';

/** The id of a step or block within a plan: `TASK/1.2`, counted from one, level by level. */
export type StepId = string;

/** The node that a step or block stands in. */
export const taskOf = (id: StepId): string => id.slice(0, id.lastIndexOf('/'));

/**
 * An expression over refs, as data. It stands in a step wherever a plain value may:
 * - `$ref`: what a step (or a block) yields, `at` a path into it
 * - `$text`: parts put together to a string
 * - `$apply`: a registered transform of its arguments
 * - `$secret`: a named secret, which only a live performer can resolve and nothing ever records
 */
export type Expr =
  | { readonly $ref: StepId; readonly at: readonly string[] }
  | { readonly $text: readonly Json[] }
  | { readonly $apply: TransformName; readonly to: readonly Json[] }
  | { readonly $secret: string };

declare const yields: unique symbol;

/**
 * A value that a step will yield. It cannot be read while recording: coerced, it throws;
 * as a condition, in a plain template or with `+` it is a lint error.
 */
export class Ref<out T> {
  declare readonly [yields]: T;
  readonly #expr: Expr;

  constructor(expr: Expr) {
    this.#expr = expr;
  }

  /** The ref of one field of an object that is yet to come; `null` where the object is. */
  get<K extends keyof NonNullable<T> & string>(key: K): Ref<NonNullable<T>[K] | Extract<T, null>> {
    const expr = this.#expr;
    return new Ref('$ref' in expr ? { $ref: expr.$ref, at: [...expr.at, key] } : { $apply: 'field', to: [expr, key] });
  }

  toJSON(): Expr {
    return this.#expr;
  }

  toString(): never {
    return this[Symbol.toPrimitive]();
  }

  [Symbol.toPrimitive](): never {
    throw new TypeError(
      `a ref (${describe(this.#expr)}) has no value while steps are recorded; use text\`…\`, when(…) or a transform instead`,
    );
  }
}

/** A value in a step: known while recording, or a ref. */
export type Value<T> = T | Ref<T>;

/** The same shape with each field a ref: what a recorder method hands back. */
export type Refs<T> = { readonly [K in keyof T]: Ref<T[K]> };

/** A string with refs in it: ``text`release ${id}` ``. */
export function text(
  strings: TemplateStringsArray,
  ...values: readonly Value<string | number | null | readonly string[]>[]
): Ref<string> {
  const parts: Json[] = [];
  strings.forEach((part, index) => {
    if (part !== '') parts.push(part);
    if (index < values.length) parts.push(plain(values[index]));
  });
  return new Ref({ $text: parts });
}

/** A secret by name: masked wherever it would show, resolved by live performers alone. */
export function secret(name: string): Ref<string> {
  return new Ref({ $secret: name });
}

/** The data of a value that may hold refs; a plain object with a key that begins with `$` is refused. */
export function plain(value: unknown): Json {
  if (value instanceof Ref) return value.toJSON();
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  if (typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    const fields = Object.entries(value).filter(([, field]) => field !== undefined);
    const odd = fields.find(([key]) => key.startsWith('$'));
    if (odd) throw new TypeError(`a step is plain data: the key ${odd[0]} is taken`);
    return Object.fromEntries(fields.map(([key, field]) => [key, plain(field)]));
  }
  throw new TypeError(
    `a step is plain data: it cannot hold ${typeof value === 'number' ? String(value) : `a ${typeof value}`}`,
  );
}

/** True for the data of a ref, a text, a transform or a secret. */
export function isExpr(value: Json): value is Expr & { readonly [key: string]: Json } {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return false;
  return '$ref' in value || '$text' in value || '$apply' in value || '$secret' in value;
}

/** Where the facts behind refs are found. `secret` is absent wherever secrets must not be resolved. */
export interface Lookup {
  fact(id: StepId): Fact;
  secret?(name: string): string | undefined;
}

/** Replaces the refs of a value by what is known; unknown as soon as one of them is. */
export function evaluate(value: Json, lookup: Lookup): Fact {
  if (value === null || typeof value !== 'object') return known(value);
  if (Array.isArray(value)) return evaluateAll(value as readonly Json[], lookup);
  if (isExpr(value)) return evaluateExpr(value, lookup);
  const keys = Object.keys(value);
  const fields = evaluateAll(Object.values(value), lookup);
  if (!fields.known) return fields;
  return known(Object.fromEntries((fields.value as Json[]).map((field, index) => [keys[index], field])));
}

function evaluateAll(values: readonly Json[], lookup: Lookup): Fact {
  const out: Json[] = [];
  for (const value of values) {
    const fact = evaluate(value, lookup);
    if (!fact.known) return unknown;
    out.push(fact.value);
  }
  return known(out);
}

/** `and` and `or` are decided as soon as one argument decides them, whatever the others will be; null for any other. */
function decide(name: TransformName, args: readonly Json[], lookup: Lookup): Fact | null {
  if (name !== 'and' && name !== 'or') return null;
  const facts = args.map((arg) => evaluate(arg, lookup));
  const deciding = name === 'or';
  if (facts.some((fact) => fact.known && (fact.value === true) === deciding)) return known(deciding);
  return facts.every((fact) => fact.known) ? known(!deciding) : unknown;
}

function applied(name: TransformName, args: readonly Json[]): Json {
  const transform: (...args: Json[]) => Json = transforms[name];
  return transform(...args);
}

function spell(part: Json): string {
  return Array.isArray(part) ? part.map(textOf).join(', ') : textOf(part);
}

function evaluateExpr(expr: Expr, lookup: Lookup): Fact {
  if ('$secret' in expr) {
    const value = lookup.secret?.(expr.$secret);
    return value === undefined ? unknown : known(value);
  }
  if ('$text' in expr) {
    const parts = evaluateAll(expr.$text, lookup);
    return parts.known ? known((parts.value as Json[]).map(spell).join('')) : parts;
  }
  if ('$apply' in expr) {
    const decided = decide(expr.$apply, expr.to, lookup);
    if (decided) return decided;
    const args = evaluateAll(expr.to, lookup);
    return args.known ? known(applied(expr.$apply, args.value as readonly Json[])) : args;
  }
  let fact = lookup.fact(expr.$ref);
  for (const key of expr.at) {
    if (!fact.known) return fact;
    fact = known(transforms.field(fact.value, key));
  }
  return fact;
}

/** The ids of all steps that a value refers to. */
export function refsIn(value: Json): StepId[] {
  if (value === null || typeof value !== 'object') return [];
  if (!Array.isArray(value) && '$ref' in value) return [(value as { $ref: string }).$ref];
  return Object.values(value).flatMap((field) => refsIn(field as Json));
}

/** A short printed form: `‹docker/3.digest›`. */
export function describe(expr: Expr): string {
  if ('$secret' in expr) return `‹secret ${expr.$secret}›`;
  if ('$text' in expr) return expr.$text.map((part) => (isExpr(part) ? describe(part) : textOf(part))).join('');
  if ('$apply' in expr)
    return `‹${expr.$apply} ${expr.to.map((part) => (isExpr(part) ? describe(part) : JSON.stringify(part))).join(' ')}›`;
  return `‹${[expr.$ref, ...expr.at].join('.')}›`;
}
