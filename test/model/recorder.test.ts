import { describe, expect, test } from 'vitest';
import { deviceName } from '../../lib/model/param.ts';
import { Recorder } from '../../lib/model/recorder.ts';
import { secret, text, type Ref } from '../../lib/model/ref.ts';
import { s } from '../../lib/model/schema.ts';
import { task } from '../../lib/model/task.ts';
import { act, ask, names, operation, yes } from '../engine/rig.ts';

const record = (body: (p: Recorder) => unknown) => Recorder.record('t', body).block;
const board = deviceName('board');
const fine = { touches: [], do: (p: Recorder) => p.call(act), undo: (p: Recorder) => p.call(act) };
const collect = operation('collect', 'collects', s.null);
const destroy = operation('destroy', 'irreversible', s.null);

describe('refused while recording', () => {
  test.each<[string, (p: Recorder) => unknown, string | RegExp]>([
    ['an empty command', (p) => p.run([], { effect: 'reads' }), 'a command needs at least its name'],
    ['a change outside of a change', (p) => p.call(act), /carries its undo: put this call into p\.change/],
    ['a changing command outside of a change', (p) => p.run(['x'], { effect: 'changes' }), 'carries its undo'],
    [
      'a changing opaque step outside of a change',
      (p) => p.opaque('x', { effect: 'changes', summary: 's' }, () => Promise.resolve()),
      'carries its undo',
    ],
    [
      'starting a service outside of a change',
      (p) => p.on(board).start({ name: 'x', release: null }),
      'carries its undo',
    ],
    ['an upload outside of a change', (p) => p.on(board).upload({ from: 'x', release: 'y' }), 'carries its undo'],
    [
      'an empty undo',
      (p) => p.change({ ...fine, undo: () => undefined }),
      't/1: a change carries its undo, and this one is empty',
    ],
    [
      'a change in a change',
      (p) => p.change({ ...fine, do: (p) => p.change(fine) }),
      'a change holds no change of its own',
    ],
    [
      'a change in an undo',
      (p) => p.change({ ...fine, undo: (p) => p.change(fine) }),
      'a change holds no change of its own',
    ],
    [
      'a change in a wait',
      (p) => p.waitUntil('w', (p) => (p.change(fine), { until: true, value: 1 }), { timeoutMs: 1 }),
      'a wait holds no change of its own',
    ],
    [
      'deriving in a wait',
      (p) =>
        p.waitUntil('w', (p) => (p.run(['x'], { effect: 'derives' }), { until: true, value: 1 }), { timeoutMs: 1 }),
      'a wait repeats reading steps only',
    ],
    [
      'deriving in a when in a wait',
      (p) =>
        p.waitUntil('w', (p) => (p.when(true, (p) => p.run(['x'], { effect: 'derives' })), { until: true, value: 1 }), {
          timeoutMs: 1,
        }),
      'a wait repeats reading steps only',
    ],
    [
      'trying a change again',
      (p) => p.change({ ...fine, do: (p) => p.call(act, {}, { retries: { times: 1, backoffMs: 1 } }) }),
      'only what reads or derives is tried again',
    ],
    [
      'trying to collect again',
      (p) => p.call(collect, {}, { retries: { times: 1, backoffMs: 1 } }),
      'only what reads or derives is tried again',
    ],
    ['an irreversible step without a confirmation', (p) => p.call(destroy), 'carries `confirm`'],
    ['a confirmation of anything else', (p) => p.probe(ask, {}, { confirm: 'x' }), 'carries `confirm`'],
    ['settling in each', (p) => p.each(['a'], (p) => p.settle()), 'settle concerns the whole task'],
    [
      'settling in a guard',
      (p) =>
        p.guard(
          (p) => p.settle(),
          () => null,
        ),
      'settle concerns the whole task',
    ],
    [
      'settling in what a guard does instead',
      (p) =>
        p.guard(
          () => null,
          (p) => p.settle(),
        ),
      'settle concerns the whole task',
    ],
    [
      'settling in a when in a guard',
      (p) =>
        p.guard(
          (p) => p.when(true, (p) => p.settle()),
          () => null,
        ),
      'settle concerns the whole task',
    ],
    ['settling in a branch', (p) => p.parallel({ a: (p) => p.settle() }), 'settle concerns the whole task'],
    ['settling in a change', (p) => p.change({ ...fine, do: (p) => p.settle() }), 'settle concerns the whole task'],
    ['holding in an undo', (p) => p.change({ ...fine, undo: (p) => p.hold() }), 'hold concerns the whole task'],
    [
      'holding in a wait',
      (p) => p.waitUntil('w', (p) => (p.hold(), { until: true, value: 1 }), { timeoutMs: 1 }),
      'hold concerns the whole task',
    ],
    ['async steps', () => Promise.resolve(), 'must not be async'],
    ['an async block', (p) => p.when(true, () => Promise.resolve()), 'must not be async'],
    [
      'a branch whose name could be an id',
      (p) => p.parallel({ 'a.1': () => null }),
      "a branch's name is part of the ids",
    ],
    [
      'a branch whose name begins with a digit',
      (p) => p.parallel({ 1: () => null }),
      "a branch's name is part of the ids",
    ],
    ['a function as an argument', (p) => p.probe(ask, { f: () => 1 }), 'it cannot hold a function'],
    ['nothing as an element', (p) => p.probe(ask, { f: [undefined] }), 'it cannot hold a undefined'],
    ['an infinite number', (p) => p.probe(ask, { f: Infinity }), 'it cannot hold Infinity'],
    ['an object of a class', (p) => p.probe(ask, { f: new Map() }), 'it cannot hold a object'],
    ['a key that would be an expression', (p) => p.probe(ask, { f: { $ref: 'x' } }), 'the key $ref is taken'],
  ])('is %s', (_, body, message) => {
    expect(() => record(body)).toThrow(message);
  });

  test.each<[string, (outer: Recorder, use: (p: Recorder) => void) => unknown]>([
    ['when', (p, use) => p.when(true, () => use(p))],
    [
      'else',
      (p, use) =>
        p.when(
          true,
          () => null,
          () => use(p),
        ),
    ],
    ['each', (p, use) => p.each(['a'], () => use(p))],
    [
      'guard',
      (p, use) =>
        p.guard(
          () => use(p),
          () => null,
        ),
    ],
    ['within', (p, use) => p.within(p.scratch('s'), () => use(p))],
    ['parallel', (p, use) => p.parallel({ a: () => use(p) })],
    ['waitUntil', (p, use) => p.waitUntil('w', () => (use(p), { until: true, value: 1 }), { timeoutMs: 1 })],
    ['do', (p, use) => p.change({ ...fine, do: () => use(p) })],
    ['undo', (p, use) => p.change({ ...fine, undo: () => use(p) })],
  ])('is an outer block from inside %s, for every method', (_, block) => {
    const uses: readonly ((p: Recorder) => unknown)[] = [
      (p) => p.probe(ask),
      (p) => p.run(['x'], { effect: 'reads' }),
      (p) => p.on(board).probe(ask),
      (p) => p.write('x', 'y'),
      (p) => p.settle(),
      (p) => p.hold(),
      (p) => p.require(true as never, 'x'),
      (p) => p.when(true, () => null),
      (p) => p.change(fine),
      (p) => p.parallel({}),
      (p) => p.each([], () => null),
    ];
    for (const use of uses)
      expect(() => record((p) => block(p, use))).toThrow('is recorded on an outer block from inside an inner one');
  });

  test('is a block whose function is over, and a task that is recorded', () => {
    expect(() =>
      record((p) => {
        let inner: Recorder | undefined;
        p.when(true, (p) => ((inner = p), null));
        inner?.probe(ask);
      }),
    ).toThrow('is recorded on an outer block');
    let kept: Recorder | undefined;
    const block = record((p) => void (kept = p));
    expect(() => kept?.probe(ask)).toThrow("comes too late: the task's steps are recorded once its function returned");
    expect(block.items).toEqual([]);
  });

  test('leaves the outer block usable when the inner function throws', () => {
    const block = record((p) => {
      try {
        p.when(true, () => {
          throw new Error('mine');
        });
      } catch {
        p.probe(ask);
      }
    });
    expect(block.items.map((item) => item.id)).toEqual(['t/1']);
  });
});

test('a ref throws when it is coerced, and says what to do', () => {
  record((p) => {
    const ref = p.probe(ask) as unknown as string;
    for (const coerce of [
      () => `x${ref}`,
      () => ref + 'x',
      () => Number(ref),
      () => String(Object(ref)),
      () => [ref].join(),
      () => ({})[ref as never],
      () => (ref as never) > 1,
    ]) {
      expect(coerce).toThrow('a ref (‹t/1›) has no value while steps are recorded; use text`…`');
    }
  });
});

test('everything recorded is plain JSON, with ids that count level by level', () => {
  const block = record((p) => {
    const cond = p.probe(yes, { secret: secret('x') });
    const made = p.when(
      cond,
      (p) => ({ deep: [p.probe(ask), { more: text`a${p.probe(ask) as Ref<string>}` }] }),
      (p) => p.probe(ask),
    );
    p.each(p.probe(names), (p, item) => p.probe(ask, { item }));
    p.write('path', text`content ${cond as never}`);
    p.change({ ...fine, do: (p) => (p.call(act), p.call(act), 5) });
    p.guard(
      () => null,
      (p) => p.probe(ask),
    );
    p.parallel({ left: (p) => p.probe(ask), right: () => undefined });
    p.within(p.on(board).lock('l'), (_, value) => value);
    p.waitUntil('w', (p) => ({ until: p.probe(yes), value: { a: 1 } }), { timeoutMs: 5 });
    return { made, nothing: undefined };
  });
  expect(JSON.parse(JSON.stringify(block))).toEqual(block);
  const ids = [
    ...JSON.stringify(block).matchAll(/"(?:step|change|when|each|guard|parallel|within|wait)","id":"([^"]+)"/g),
  ].map((match) => match[1]);
  expect(ids).toEqual([
    't/1',
    't/2',
    't/2.1',
    't/2.2',
    't/2.else.1',
    't/3',
    't/4',
    't/4.1',
    't/5',
    't/5.1',
    't/5.undo.1',
    't/6',
    't/6.1',
    't/6.2',
    't/6.undo.1',
    't/7',
    't/7.recover.1',
    't/8',
    't/8.left.1',
    't/9',
    't/10',
    't/10.1',
  ]);
  expect(block.result).toEqual({ made: { $ref: 't/2', at: [] } });
});

test("a task's name is lower case words", () => {
  for (const name of ['Build', '', 'a b', 'a/b', 'a:', '1a', 'a_b'])
    expect(() => task(name, { summary: 's' })).toThrow("a task's name is lower case words");
  expect(task('a:b-2', { summary: 's' }).source).toMatch(/test\/model\/recorder\.test\.ts:\d+$/);
});
