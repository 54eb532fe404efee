import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  and,
  atLeast,
  equals,
  flagged,
  isEmpty,
  isNull,
  not,
  oneOf,
  or,
  otherwise,
  prefix,
  without,
} from '../../lib/model/choice.ts';
import { known, unknown, type Fact } from '../../lib/model/fact.ts';
import { canonical, piecesOf, sameJson, type Json } from '../../lib/model/json.ts';
import { describe as spell, evaluate, plain, Ref, refsIn, secret, text, type Lookup } from '../../lib/model/ref.ts';
import { check, s, type Schema } from '../../lib/model/schema.ts';

const ref = <T>(id: string, at: readonly string[] = []) => new Ref<T>({ $ref: id, at });
const lookup = (facts: { readonly [id: string]: Json }, secrets?: Lookup['secret']): Lookup => ({
  fact: (id): Fact => (facts[id] === undefined ? unknown : known(facts[id])),
  ...(secrets && { secret: secrets }),
});
const value = (of: unknown, facts: { readonly [id: string]: Json } = {}): Fact => evaluate(plain(of), lookup(facts));

describe('a value', () => {
  test('has its refs replaced, deeply', () => {
    expect(value({ a: [ref('x'), { b: ref('y', ['c', 'd']) }], e: 1 }, { x: [1], y: { c: { d: 'deep' } } })).toEqual(
      known({ a: [[1], { b: 'deep' }], e: 1 }),
    );
  });

  test('is unknown as soon as one of its refs is', () => {
    expect(value({ a: [1, { b: ref('x') }] })).toEqual(unknown);
    expect(value(text`a ${ref<string>('x')}`)).toEqual(unknown);
  });

  test('of what a step yielded is never taken for a ref', () => {
    expect(value({ got: ref('x') }, { x: { $ref: 'y', at: [] }, y: 'wrong' })).toEqual(
      known({ got: { $ref: 'y', at: [] } }),
    );
  });

  test('of a field of null is null', () => {
    expect(value(ref<{ a: { b: string } } | null>('x').get('a').get('b'), { x: null })).toEqual(known(null));
    expect(value(otherwise(ref<{ a: string } | null>('x'), { a: 'y' }).get('a'), { x: null })).toEqual(known('y'));
  });

  test('with a secret stays unknown but for who may resolve it', () => {
    const both = plain({ a: text`x${secret('token')}` });
    expect(evaluate(both, lookup({}))).toEqual(unknown);
    expect(
      evaluate(
        both,
        lookup({}, () => undefined),
      ),
    ).toEqual(unknown);
    expect(
      evaluate(
        both,
        lookup({}, (name) => `<${name}>`),
      ),
    ).toEqual(known({ a: 'x<token>' }));
  });

  test('is spelt in a text: lists with commas, null as nothing', () => {
    expect(
      value(text`${ref<string[]>('l')}|${ref<null>('n')}|${ref<number>('i')}`, { l: ['a', 'b'], n: null, i: 0 }),
    ).toEqual(known('a, b||0'));
  });

  test('names the refs in it, in order', () => {
    expect(refsIn(plain([ref('a'), { x: equals(ref<string>('b'), 'c'), y: text`${ref<string>('d')}` }]))).toEqual([
      'a',
      'b',
      'd',
    ]);
    expect(spell(and(ref<boolean>('t/1', ['ok']), true).toJSON())).toBe('‹and ‹t/1.ok› true›');
    expect(spell(text`a ${secret('k')}`.toJSON())).toBe('a ‹secret k›');
  });
});

describe('transforms', () => {
  test.each<[string, Ref<unknown>, Json]>([
    ['equals', equals(ref<Json>('o'), { b: [2], a: 1 } as Json), true],
    ['equals not', equals(ref<Json>('o'), { a: 1 } as Json), false],
    ['not', not(ref<boolean>('no')), true],
    ['isNull', isNull(ref<null>('null')), true],
    ['atLeast', atLeast(ref<number>('two'), 2), true],
    ['atLeast of no number', atLeast(ref<number>('list'), 2), false],
    ['isEmpty', isEmpty(ref<Json[]>('list')), false],
    ['oneOf', oneOf<string>('a', ref<string[]>('list')), true],
    ['otherwise', otherwise(ref<string | null>('null'), 'x'), 'x'],
    ['otherwise of false', otherwise(ref<boolean | null>('no'), true), false],
    ['prefix', prefix('p/', ref<string>('text')), 'p/x'],
    ['prefix of null', prefix('p/', ref<string | null>('null')), null],
    ['flagged', flagged('-f', ref<string[]>('list')), ['-f', 'a', '-f', 'b']],
    ['without', without(ref<string[]>('list'), ['a']), ['b']],
  ])('%s', (_, expr, expected) => {
    expect(value(expr, { o: { a: 1, b: [2] }, no: false, null: null, two: 2, list: ['a', 'b'], text: 'x' })).toEqual(
      known(expected),
    );
  });

  test.each([
    [true, true],
    [true, false],
    [false, false],
    [true, null],
    [false, null],
    [null, null],
  ] as const)('and, or of %s and %s, unknown being null', (a, b) => {
    const given = Object.fromEntries(
      (
        [
          ['a', a],
          ['b', b],
        ] as const
      ).filter(([, one]) => one !== null),
    ) as { readonly [id: string]: Json };
    const strong = (all: boolean, deciding: boolean): Fact =>
      all ? known(deciding) : a === null || b === null ? unknown : known(!deciding);
    for (const [x, y] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      expect(value(and(ref<boolean>(x), ref<boolean>(y)), given)).toEqual(strong(a === false || b === false, false));
      expect(value(or(ref<boolean>(x), ref<boolean>(y)), given)).toEqual(strong([a, b].includes(true), true));
    }
    expect(value([and(), or()])).toEqual(known([true, false]));
  });

  test('look at each argument once, however deep they are nested', () => {
    let looks = 0;
    let deep: Ref<boolean> = ref<boolean>('x');
    for (let depth = 0; depth < 200; depth++) deep = depth % 2 === 0 ? and(deep, true) : or(deep, false);
    expect(evaluate(plain(deep), { fact: () => (looks++, known(true)) })).toEqual(known(true));
    expect(looks).toBe(1);
  });
});

describe('a schema', () => {
  const release = s.object({
    id: s.nullable(s.string),
    sizes: s.table(s.list(s.number)),
    state: s.choice('staged', 'confirmed'),
  });

  test('admits what fits, without fields that it does not know', () => {
    expect(check(release, { id: null, sizes: { a: [1, 2], b: [] }, state: 'staged', more: 1 })).toEqual({
      fits: true,
      value: { id: null, sizes: { a: [1, 2], b: [] }, state: 'staged' },
    });
  });

  test.each<[string, Json, object]>([
    ['a missing field', { sizes: {}, state: 'staged' }, { at: 'id', expected: 'nullable', actual: 'missing' }],
    ['a wrong type', { id: 1, sizes: {}, state: 'staged' }, { at: 'id', expected: 'string', actual: 'number' }],
    [
      'a wrong element',
      { id: 'x', sizes: { a: [1, '2'] }, state: 'staged' },
      { at: 'sizes.a.1', expected: 'number', actual: 'string' },
    ],
    [
      'no choice',
      { id: 'x', sizes: {}, state: 'gone' },
      { at: 'state', expected: 'one of staged, confirmed', actual: 'string' },
    ],
    ['a list for an object', [], { at: '', expected: 'object', actual: 'list' }],
    [
      'a list for a table',
      { id: 'x', sizes: [], state: 'staged' },
      { at: 'sizes', expected: 'object', actual: 'list' },
    ],
    ['null for an object', null, { at: '', expected: 'object', actual: 'null' }],
  ])('refuses %s', (_, given, mismatch) => {
    expect(check(release, given)).toEqual({ fits: false, mismatch });
  });

  test('takes keys that objects have anyway for what they are', () => {
    const odd = JSON.parse('{"__proto__":["a"],"constructor":["b"]}') as Json;
    const checked = check(s.table(s.list(s.string)), odd);
    expect(checked.fits && JSON.stringify(checked.value)).toBe('{"__proto__":["a"],"constructor":["b"]}');
    expect(check(s.object({ constructor: s.json }), {})).toEqual({
      fits: false,
      mismatch: { at: 'constructor', expected: 'json', actual: 'missing' },
    });
    expect(value(ref('x', ['toString']), { x: {} })).toEqual(known(null));
    expect(value(ref('x', ['length']), { x: 'text' })).toEqual(known(null));
  });

  test('fits every value of s.json, and itself after a round trip', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (given) => {
        const json = JSON.parse(JSON.stringify(given)) as Json;
        expect(check(s.json, json)).toEqual({ fits: true, value: json });
        expect(check(JSON.parse(JSON.stringify(release)) as Schema, json)).toEqual(check(release, json));
      }),
    );
  });
});

test('canonical text is the same for the same data, and parses back to it', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      const [one, other] = [JSON.parse(JSON.stringify(a)), JSON.parse(JSON.stringify(b))] as [Json, Json];
      expect(canonical(JSON.parse(canonical(one)) as Json)).toBe(canonical(one));
      expect(JSON.parse(canonical(one))).toEqual(one);
      expect(sameJson(one, other)).toBe(canonical(one) === canonical(other));
      for (const depth of [0, 1, 2, 9]) expect([...piecesOf(one, depth)].join('')).toBe(canonical(one));
    }),
  );
  expect([...piecesOf({ b: [1, { d: 2 }], a: {} }, 2)]).toEqual([
    '{"a":',
    '{}',
    ',"b":',
    '[',
    '1',
    ',',
    '{"d":2}',
    ']',
    '}',
  ]);
  expect(canonical({ b: 1, a: { d: 1, c: [] } })).toBe('{"a":{"c":[],"d":1},"b":1}');
});
