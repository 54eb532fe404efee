import fc from 'fast-check';
import { makePlan } from '../../lib/engine/graph.ts';
import { webhook } from '../../lib/model/channel.ts';
import { deviceName } from '../../lib/model/param.ts';
import type { Plan } from '../../lib/model/plan.ts';
import { Ref, secret } from '../../lib/model/ref.ts';
import type { Recorder } from '../../lib/model/recorder.ts';
import { task, type Task } from '../../lib/model/task.ts';
import { hash } from './rig.ts';
import { world, type World } from './world.ts';

/** What a random task body is made of. `file` picks one of a few paths, so that moves meet on them. */
export type Move =
  | { readonly move: 'get' | 'write' | 'remove' | 'set' | 'both'; readonly file: number }
  | { readonly move: 'fail' | 'require' | 'settle' }
  | { readonly move: 'wait'; readonly rounds: number }
  | {
      readonly move: 'when';
      readonly value: boolean;
      readonly then: readonly Move[];
      readonly otherwise: readonly Move[];
    }
  | { readonly move: 'each'; readonly items: readonly string[]; readonly body: readonly Move[] }
  | { readonly move: 'guard'; readonly body: readonly Move[]; readonly recover: readonly Move[] }
  | { readonly move: 'told'; readonly body: readonly Move[] }
  | { readonly move: 'within'; readonly body: readonly Move[] }
  | { readonly move: 'parallel'; readonly left: readonly Move[]; readonly right: readonly Move[] };

export interface Kinds {
  readonly fails: boolean;
  readonly settles: boolean;
  readonly parallel: boolean;
}

const ALL: Kinds = { fails: true, settles: true, parallel: true };

/** A body of random moves. */
export function moves(kinds: Kinds = ALL): fc.Arbitrary<readonly Move[]> {
  const file = fc.integer({ min: 0, max: 2 });
  const leaf: fc.Arbitrary<Move>[] = [
    fc.record({ move: fc.constantFrom('get', 'write', 'remove', 'set', 'both', 'write', 'set'), file }),
    fc.record({ move: fc.constant('require' as const) }),
    fc.record({ move: fc.constant('wait' as const), rounds: fc.integer({ min: 1, max: 3 }) }),
  ];
  const fails: fc.Arbitrary<Move>[] = kinds.fails ? [fc.record({ move: fc.constant('fail' as const) })] : [];
  const settles: fc.Arbitrary<Move>[] = kinds.settles ? [fc.record({ move: fc.constant('settle' as const) })] : [];
  const { body } = fc.letrec<{ body: readonly Move[]; inner: Move }>((tie) => ({
    body: fc.array(tie('inner'), { maxLength: 4 }),
    inner: fc.oneof(
      { maxDepth: 3, depthSize: 'small' },
      ...leaf,
      ...fails,
      ...settles,
      fc.record({ move: fc.constant('when' as const), value: fc.boolean(), then: tie('body'), otherwise: tie('body') }),
      fc.record({
        move: fc.constant('each' as const),
        items: fc.array(fc.constantFrom('a', 'b'), { maxLength: 2 }),
        body: tie('body'),
      }),
      fc.record({ move: fc.constant('guard' as const), body: tie('body'), recover: tie('body') }),
      fc.record({ move: fc.constant('told' as const), body: tie('body') }),
      fc.record({ move: fc.constant('within' as const), body: tie('body') }),
      ...(kinds.parallel
        ? [fc.record({ move: fc.constant('parallel' as const), left: tie('body'), right: tie('body') })]
        : []),
    ),
  }));
  return body;
}

interface Context {
  readonly folder: string;
  /** `settle` may stand here. */
  readonly spine: boolean;
  readonly lock: () => string;
}

/** Records moves; every change carries a right undo. */
export function record(p: Recorder, body: readonly Move[], context: Context): void {
  for (const move of body) recordOne(p, move, context);
}

function recordOne(p: Recorder, move: Move, context: Context): void {
  const { folder, lock } = context;
  const inner = { ...context, spine: false };
  switch (move.move) {
    case 'get':
    case 'write':
    case 'remove':
    case 'set':
    case 'both':
      return recordFile(p, move.move, `${folder}/${String(move.file)}`);
    case 'fail':
      return void p.run(['fails'], { effect: 'derives', summary: 'fails' });
    case 'require':
      return p.require(p.probe(world.flag, { value: true }), 'it must hold');
    case 'settle':
      return context.spine ? p.settle() : undefined;
    case 'wait':
      return void p.waitUntil('ready', (p) => ({ until: p.probe(world.ready, { rounds: move.rounds }), value: 'x' }), {
        everyMs: 10,
        timeoutMs: 1000,
      });
    case 'when': {
      return void p.when(
        p.probe(world.flag, { value: move.value }),
        (p) => record(p, move.then, context),
        (p) => record(p, move.otherwise, context),
      );
    }
    case 'each':
      return void p.each(p.probe(world.list, { value: move.items }), (p, item) => {
        p.probe(world.flag, { value: true, item });
        record(p, move.body, inner);
      });
    case 'guard':
      return void p.guard(
        (p) => record(p, move.body, inner),
        (p) => record(p, move.recover, inner),
      );
    case 'told': {
      if (!context.spine) return record(p, move.body, context);
      const notice = { to: webhook({ url: secret('URL') }), text: 'a part of it' };
      return void p.notifying(notice, (p) => record(p, move.body, context));
    }
    case 'within':
      return void p.within(p.on(deviceName('board')).lock(lock()), (p) => record(p, move.body, context));
    case 'parallel':
      return void p.parallel({
        left: (p) => record(p, move.left, { ...inner, folder: `${folder}/left` }),
        right: (p) => record(p, move.right, { ...inner, folder: `${folder}/right` }),
      });
  }
}

function recordFile(p: Recorder, move: 'get' | 'write' | 'remove' | 'set' | 'both', path: string): void {
  switch (move) {
    case 'get':
      return void p.probe(world.get, { path });
    case 'write':
      return p.write(path, 'written');
    case 'remove':
      return p.on(deviceName('board')).remove(path);
    case 'set': {
      const before = p.probe(world.get, { path });
      return void p.change({
        touches: [p.path(path)],
        do: (p) => p.call(world.set, { path, value: 'set' }),
        undo: (p) => p.call(world.set, { path, value: before }),
      });
    }
    case 'both': {
      const [one, other] = [path, `${path}+`].map((each) => [each, p.probe(world.get, { path: each })] as const) as [
        readonly [string, Ref<string | null>],
        readonly [string, Ref<string | null>],
      ];
      const both = (p: Recorder, first: unknown, second: unknown): void => {
        p.call(world.set, { path: one[0], value: first });
        p.call(world.set, { path: other[0], value: second });
      };
      return void p.change({ touches: [], do: (p) => both(p, 'one', 'two'), undo: (p) => both(p, one[1], other[1]) });
    }
  }
}

/** A plan of a few tasks, each needing the one before or none, each in a folder of its own. */
export function planFrom(bodies: readonly (readonly Move[])[], chained = true): Plan {
  const tasks: Task<{}, void>[] = [];
  for (const [index, body] of bodies.entries()) {
    const before = tasks.at(-1);
    tasks.push(
      task(`t${String(index)}`, {
        summary: 'random',
        needs: chained && before ? { before: before() } : {},
        steps(p): void {
          let locks = 0;
          record(p, body, {
            folder: `t${String(index)}`,
            spine: true,
            lock: () => `t${String(index)}-${String(++locks)}`,
          });
        },
      }),
    );
  }
  return makePlan(
    tasks.map((one) => one()),
    hash,
  ).plan;
}

/** Something to lose in every folder. */
export function fill(inWorld: World, tasks: number): World {
  for (let index = 0; index < tasks; index++) {
    inWorld.put('here', `t${String(index)}/0`, 'old');
    inWorld.put('board', `t${String(index)}/1`, 'old');
    inWorld.put('here', `t${String(index)}/left/0`, 'old');
  }
  return inWorld;
}
