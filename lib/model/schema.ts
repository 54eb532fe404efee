import type { Json } from './json.ts';

declare const admits: unique symbol;

/**
 * A schema as plain data, so that a probe's schema is part of its step and of the plan's digest.
 * The vocabulary is the small part of JSON Schema that probes need; `T` exists for the compiler alone.
 */
export type Schema<T = unknown> = SchemaData & { readonly [admits]?: T };

/** The schema of an object with known fields: a step that yields it hands back a ref for each. */
export type ObjectSchema<T = unknown> = {
  readonly type: 'object';
  readonly fields: { readonly [key: string]: SchemaData };
} & { readonly [admits]?: T };

type SchemaData =
  | { readonly type: 'string' | 'number' | 'boolean' | 'null' | 'json' }
  | { readonly type: 'choice'; readonly choices: readonly string[] }
  | { readonly type: 'nullable' | 'list' | 'table'; readonly of: SchemaData }
  | { readonly type: 'object'; readonly fields: { readonly [key: string]: SchemaData } };

/** The TypeScript type of the values that a schema admits. */
export type Infer<S> = S extends { readonly [admits]?: infer T } ? T : never;

type Fields = { readonly [key: string]: Schema };

/** Builders: `s.object({ id: s.nullable(s.string) })`. An object's unknown fields are dropped, missing ones refused. */
export const s = {
  string: { type: 'string' } as Schema<string>,
  number: { type: 'number' } as Schema<number>,
  boolean: { type: 'boolean' } as Schema<boolean>,
  null: { type: 'null' } as Schema<null>,
  json: { type: 'json' } as Schema<Json>,
  choice: <const C extends string>(...choices: readonly C[]): Schema<C> => ({ type: 'choice', choices }),
  nullable: <T>(of: Schema<T>): Schema<T | null> => ({ type: 'nullable', of }),
  list: <T>(of: Schema<T>): Schema<readonly T[]> => ({ type: 'list', of }),
  table: <T>(of: Schema<T>): Schema<{ readonly [key: string]: T }> => ({ type: 'table', of }),
  object: <F extends Fields>(fields: F): ObjectSchema<{ readonly [K in keyof F]: Infer<F[K]> }> => ({
    type: 'object',
    fields,
  }),
} as const;

/** What a value was when it should have been something else; `at` is the path to it, `''` for the whole. */
export type Mismatch = { readonly at: string; readonly expected: string; readonly actual: string };

/** A value that fits its schema (unknown fields dropped), or the first place where it does not. */
export type Checked =
  { readonly fits: true; readonly value: Json } | { readonly fits: false; readonly mismatch: Mismatch };

/** Checks a value that came from outside. */
export function check(schema: SchemaData, value: Json, at = ''): Checked {
  const miss = (expected: string): Checked => ({
    fits: false,
    mismatch: { at, expected, actual: value === null ? 'null' : Array.isArray(value) ? 'list' : typeof value },
  });
  switch (schema.type) {
    case 'json':
      return { fits: true, value };
    case 'null':
      return value === null ? { fits: true, value } : miss('null');
    case 'string':
    case 'number':
    case 'boolean':
      return typeof value === schema.type ? { fits: true, value } : miss(schema.type);
    case 'choice':
      return typeof value === 'string' && schema.choices.includes(value)
        ? { fits: true, value }
        : miss(`one of ${schema.choices.join(', ')}`);
    case 'nullable':
      return value === null ? { fits: true, value } : check(schema.of, value, at);
    case 'list':
      return Array.isArray(value) ? checkAll(Object.entries(value), () => schema.of, at, Object.values) : miss('list');
    case 'table':
      return isRecord(value)
        ? checkAll(
            Object.entries(value),
            () => schema.of,
            at,
            (fields) => fields,
          )
        : miss('object');
    case 'object':
      return isRecord(value)
        ? checkAll(
            Object.keys(schema.fields).map((key) => [key, Object.hasOwn(value, key) ? value[key] : undefined]),
            (key) => schema.fields[key] ?? s.json,
            at,
            (fields) => fields,
          )
        : miss('object');
  }
}

function checkAll(
  entries: readonly (readonly [string, Json | undefined])[],
  schemaOf: (key: string) => SchemaData,
  at: string,
  build: (fields: { [key: string]: Json }) => Json,
): Checked {
  const fields: (readonly [string, Json])[] = [];
  for (const [key, field] of entries) {
    const path = at === '' ? key : `${at}.${key}`;
    if (field === undefined)
      return { fits: false, mismatch: { at: path, expected: schemaOf(key).type, actual: 'missing' } };
    const checked = check(schemaOf(key), field, path);
    if (!checked.fits) return checked;
    fields.push([key, checked.value]);
  }
  return { fits: true, value: build(Object.fromEntries(fields)) };
}

function isRecord(value: Json): value is { readonly [key: string]: Json } {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
