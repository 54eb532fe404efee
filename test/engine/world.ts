import type { Known } from '../../lib/model/fact.ts';
import { textOf, type Json } from '../../lib/model/json.ts';
import type { Plan } from '../../lib/model/plan.ts';
import type { LivePerformer, Performed, Performing } from '../../lib/model/ports.ts';
import { s } from '../../lib/model/schema.ts';
import type { Block, Item, Place, Step } from '../../lib/model/step.ts';
import { boom, operation } from './rig.ts';

/** What the world answers and does; `get` yields null where there is nothing. */
export const world = {
  get: operation('get', 'reads', s.nullable(s.string)),
  set: operation('set', 'changes', s.null),
  flag: operation('flag', 'reads', s.boolean),
  list: operation('list', 'reads', s.list(s.string)),
  ready: operation('ready', 'reads', s.boolean),
  fails: operation('fails', 'derives', s.null),
} as const;

/** What outlives a runner: files by place, what steps saved, and how often was asked. */
export class World {
  readonly files = new Map<Place, Map<string, string>>();
  readonly saved = new Map<string, string | null>();
  /** Events that somebody was told, in order. */
  readonly told: string[] = [];
  readonly asked = new Map<string, number>();

  at(place: Place): Map<string, string> {
    const files = this.files.get(place) ?? new Map<string, string>();
    this.files.set(place, files);
    return files;
  }

  put(place: Place, path: string, content: string | null): void {
    if (content === null) this.at(place).delete(path);
    else this.at(place).set(path, content);
  }

  /** Everything in it, or only what lies below one folder. */
  snapshot(below = ''): string {
    const all = [...this.files].flatMap(([place, files]) =>
      [...files].map(([path, content]) => `${place}:${path}=${content}`),
    );
    return all
      .filter((line) => line.includes(`:${below}`))
      .sort()
      .join('\n');
  }
}

export interface LifeOptions {
  /** The n-th live step fails, counted from 1. */
  readonly failAt?: number;
  readonly locks: ReadonlyMap<string, readonly string[]>;
}

/** One life of a runner over a world: its locks end with it, and once killed it does nothing any more. */
export class Life implements LivePerformer {
  readonly explores = false;
  readonly performed: { readonly step: Step; readonly iteration: string; readonly undoing: boolean }[] = [];
  /** Steps that ran without a lock that stands around them in the plan. */
  readonly unlocked: string[] = [];
  readonly #held = new Set<string>();
  readonly #world: World;
  readonly #options: LifeOptions;
  #dead = false;
  #count = 0;

  constructor(inWorld: World, options: LifeOptions) {
    this.#world = inWorld;
    this.#options = options;
  }

  kill(): void {
    this.#dead = true;
  }

  perform(step: Step, { iteration, undoing }: Performing): Promise<Performed<Known>> {
    if (this.#dead) return new Promise(() => undefined);
    this.performed.push({ step, iteration, undoing });
    if (!(this.#options.locks.get(step.id) ?? []).every((name) => this.#held.has(name))) this.unlocked.push(step.id);
    if (!undoing && ++this.#count === this.#options.failAt) {
      // Half of it may have happened: the change is made, and then the step fails.
      if (this.#count % 2 === 0) this.#act(step, iteration);
      return Promise.resolve({ ok: false, failure: boom });
    }
    const value = this.#act(step, iteration);
    return Promise.resolve(
      value === undefined ? { ok: false, failure: boom } : { ok: true, fact: { known: true, value } },
    );
  }

  #act(step: Step, iteration: string): Json | undefined {
    const files = this.#world.at(step.place);
    const save = (path: string): void => {
      const key = `${step.id}#${iteration}`;
      if (!this.#world.saved.has(key)) this.#world.saved.set(key, files.get(path) ?? null);
    };
    switch (step.kind) {
      case 'write':
        save(textOf(step.args.path));
        this.#world.put(step.place, textOf(step.args.path), textOf(step.args.content));
        return null;
      case 'remove':
        save(textOf(step.args.path));
        this.#world.put(step.place, textOf(step.args.path), null);
        return null;
      case 'restore': {
        const saved = this.#world.saved.get(`${step.args.saved}#${iteration}`);
        if (saved !== undefined) this.#world.put(step.place, textOf(step.args.path), saved);
        return null;
      }
      case 'probe':
        return this.#answer(step.args.ask, step.args.args as { readonly [name: string]: Json }, step);
      case 'call': {
        if (step.args.operation !== 'set') return undefined;
        const { path, value } = step.args.args as { readonly path: string; readonly value: string | null };
        this.#world.put(step.place, path, value);
        return null;
      }
      case 'notify':
        this.#world.told.push(textOf(step.args.event));
        return null;
      default:
        throw new Error(`this world knows no ${step.kind}`);
    }
  }

  #answer(question: string, args: { readonly [name: string]: Json }, step: Step): Json {
    if (question === 'get') return this.#world.at(step.place).get(textOf(args['path'] ?? null)) ?? null;
    if (question === 'ready') {
      const asked = (this.#world.asked.get(step.id) ?? 0) + 1;
      this.#world.asked.set(step.id, asked);
      return asked >= Number(args['rounds']);
    }
    return args['value'] ?? null;
  }

  enter: LivePerformer['enter'] = ({ name, place }) => {
    if (this.#dead) return new Promise(() => undefined);
    if (this.#held.has(name))
      return Promise.resolve({ ok: false, failure: { reason: 'lock-held', place, name, holder: 'me' } });
    this.#held.add(name);
    return Promise.resolve({
      ok: true,
      entered: { value: name, leave: () => Promise.resolve(void this.#held.delete(name)) },
    });
  };

  serviceEnded = (): Promise<never> => Promise.reject(new Error('nothing is held here'));
}

/** The locks that stand around each step, those of undos too. */
export function locksOf(plan: Plan): ReadonlyMap<string, readonly string[]> {
  const locks = new Map<string, readonly string[]>();
  const visit = (block: Block, around: readonly string[]): void => {
    for (const item of block.items) {
      if (item.type === 'step') locks.set(item.id, around);
      const inside = item.type === 'within' ? [...around, item.scope.name] : around;
      for (const inner of innerBlocks(item)) visit(inner, inside);
    }
  };
  for (const node of plan.nodes) visit(node.body, []);
  return locks;
}

function innerBlocks(item: Item): readonly Block[] {
  switch (item.type) {
    case 'change':
      return [item.do, item.undo];
    case 'when':
      return [item.then, item.otherwise];
    case 'guard':
      return [item.body, item.recover];
    case 'parallel':
      return Object.values(item.branches);
    case 'notifying':
      return [item.start, item.body, item.success, item.failure];
    case 'each':
    case 'within':
    case 'wait':
      return [item.body];
    default:
      return [];
  }
}
