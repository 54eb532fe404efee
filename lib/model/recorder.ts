import { checkArmed } from './armed.ts';
import type { Json } from './json.ts';
import { notifyArgs, TOLD, type Notice } from './notice.ts';
import type { OpaqueBody } from './opaque.ts';
import type { DeviceName } from './param.ts';
import { plain, Ref, type StepId, type Value } from './ref.ts';
import { s, type Schema } from './schema.ts';
import { inStartOrder } from './service.ts';
import { refuseRetries, refuseTimeout, startArgs, type ServiceHere } from './service-here.ts';
import { DeviceSite, Site, type StepOptions, type Yielded } from './site.ts';
import {
  HERE,
  type Block,
  type Effect,
  type Item,
  type Place,
  type Scope,
  type Step,
  type StepArgs,
  type StepKind,
  type Touch,
} from './step.ts';

/** The data that a recorded value stands for, refs replaced by what they will be. */
export type Resolved<T> = T extends string | number | boolean | null
  ? T
  : T extends Ref<infer X>
    ? X
    : T extends readonly (infer E)[]
      ? readonly Resolved<E>[]
      : T extends object
        ? { readonly [K in keyof T]: Resolved<T[K]> }
        : T extends void
          ? null
          : T;

/** What a block may hold: everything, no `settle` and `hold`, the steps of a change, or reading steps. */
type Role = 'spine' | 'inner' | 'change' | 'wait';

/** Recorded state that all recorders of one task share. */
interface Recording {
  /** Null once the task is recorded. */
  active: Recorder | null;
  readonly opaque: Map<StepId, OpaqueBody>;
}

const EFFECTS: ReadonlySet<Effect> = new Set(['reads', 'derives', 'changes', 'collects', 'tells', 'irreversible']);

/** Writes steps down, in order. Each block has its own recorder; recording on an outer one from inside throws. */
export class Recorder extends Site {
  override readonly place = HERE;
  readonly #recording: Recording;
  readonly #prefix: string;
  readonly #items: Item[] = [];
  readonly #role: Role;

  private constructor(recording: Recording | undefined, prefix: string, role: Role) {
    super();
    this.#recording = recording ?? { active: this, opaque: new Map() };
    this.#prefix = prefix;
    this.#role = role;
  }

  protected override get recorder(): this {
    return this;
  }

  /** Records a task's steps under its node's id. */
  static record(
    node: string,
    body: (p: Recorder) => unknown,
  ): { readonly block: Block; readonly returned: unknown; readonly opaque: ReadonlyMap<StepId, OpaqueBody> } {
    const root = new Recorder(undefined, `${node}/`, 'spine');
    const returned = body(root);
    const result = plainResult(returned);
    root.#recording.active = null;
    return { block: { items: root.#items.slice(), result }, returned, opaque: root.#recording.opaque };
  }

  get inChange(): boolean {
    return this.#role === 'change';
  }

  get lastId(): StepId {
    return this.#items.at(-1)?.id ?? '';
  }

  /** A device's side of this block. */
  on(device: DeviceName): DeviceSite {
    return new DeviceSite(this, device);
  }

  /** Records one step and hands back the refs of what it yields. */
  step<K extends StepKind>(
    kind: K,
    place: Place,
    effect: Effect,
    args: StepArgs[K],
    yields: Schema,
    options: StepOptions & { readonly volatile?: boolean | undefined },
  ): unknown {
    this.#mustBeActive(kind);
    if (!EFFECTS.has(effect))
      throw new TypeError(`the effect of a step is one of ${[...EFFECTS].join(', ')}, not ${effect}`);
    if (effect === 'changes' && !this.inChange) {
      throw new TypeError(
        `a step that changes something carries its undo: put this ${kind} into p.change({ touches, do, undo })`,
      );
    }
    if (this.#role === 'wait' && effect !== 'reads') throw new TypeError('a wait repeats reading steps only');
    if (this.inChange && effect === 'tells')
      throw new TypeError('what is told stays told: a change, which may be put back, tells nothing');
    if (options.retries && effect !== 'reads' && effect !== 'derives')
      throw new TypeError(`only what reads or derives is tried again, not a ${kind} that ${effect}`);
    if ((effect === 'irreversible') !== (options.confirm !== undefined))
      throw new TypeError('an irreversible step, and no other, carries `confirm`: the name that --confirm must give');
    const id = this.#nextId();
    refuseTimeout(options.timeoutMs, () => id);
    refuseRetries(options.retries, () => id);
    this.#add(
      defined({ type: 'step', id, kind, place, effect, args: defined(args), yields, ...options }) as unknown as Step,
    );
    return yielded(yields, id);
  }

  /** An async function of your own, with zx's `$`. `effect: 'changes'` needs a surrounding `change`. */
  opaque(name: string, options: { readonly effect: Effect; readonly summary: string }, body: OpaqueBody): Ref<Json> {
    const args = { name, source: String(body) };
    const ref = this.step('opaque', HERE, options.effect, args, s.json, { summary: options.summary }) as Ref<Json>;
    this.#recording.opaque.set(this.lastId, body);
    return ref;
  }

  /** One unit of change: `undo` must be right whether `do` did not happen, half happened or happened. */
  change<T>(spec: {
    readonly touches: readonly Touch[];
    readonly do: (p: Recorder) => T;
    readonly undo: (p: Recorder) => void;
    readonly undone?: 'always' | 'unless-done';
  }): Ref<Resolved<T>> {
    if (this.#role === 'change' || this.#role === 'wait')
      throw new TypeError(`a ${this.#role} holds no change of its own`);
    const id = this.#nextId();
    const done = this.#block(`${id}.`, spec.do, 'change');
    const undo = this.#block(`${id}.undo.`, spec.undo, 'change');
    if (undo.items.length === 0) throw new TypeError(`${id}: a change carries its undo, and this one is empty`);
    return this.#blockItem({
      type: 'change',
      id,
      touches: spec.touches,
      do: done,
      undo,
      undone: spec.undone ?? 'always',
    });
  }

  /** Does one of two things; yields what the taken branch returned. */
  when<T>(condition: Value<boolean>, then: (p: Recorder) => T): Ref<Resolved<T> | null>;
  when<T, E>(
    condition: Value<boolean>,
    then: (p: Recorder) => T,
    otherwise: (p: Recorder) => E,
  ): Ref<Resolved<T> | Resolved<E>>;
  when(
    condition: Value<boolean>,
    then: (p: Recorder) => unknown,
    otherwise: (p: Recorder) => unknown = () => null,
  ): Ref<unknown> {
    const id = this.#nextId();
    return this.#blockItem({
      type: 'when',
      id,
      condition: plain(condition),
      then: this.#block(`${id}.`, then),
      otherwise: this.#block(`${id}.else.`, otherwise),
    });
  }

  /** Does the body once for each item, in order; yields the list of what it returned. */
  each<I, T>(over: Value<readonly I[]>, body: (p: Recorder, item: Ref<I>) => T): Ref<readonly Resolved<T>[]> {
    const id = this.#nextId();
    const item = `${id}.item`;
    return this.#blockItem({
      type: 'each',
      id,
      over: plain(over),
      item,
      body: this.#block(`${id}.`, (p) => body(p, new Ref<I>({ $ref: item, at: [] })), this.#inner),
    });
  }

  /** When the body fails it is undone, then `recover` runs and the walk goes on. */
  guard<T, E>(body: (p: Recorder) => T, recover: (p: Recorder) => E): Ref<Resolved<T> | Resolved<E>> {
    const id = this.#nextId();
    return this.#blockItem({
      type: 'guard',
      id,
      body: this.#block(`${id}.`, body, this.#inner),
      recover: this.#block(`${id}.recover.`, recover, this.#inner),
    });
  }

  /** Holds a resource while the body runs. */
  within<T>(scope: Scope, body: (p: Recorder, value: Ref<string>) => T): Ref<Resolved<T>> {
    const id = this.#nextId();
    const value = new Ref<string>({ $ref: `${id}.scope`, at: [] });
    const armed = scope.kind === 'deadMan';
    if (armed) this.#onSpine("a dead-man's switch");
    const block = this.#block(`${id}.`, (p) => body(p, value), armed ? 'inner' : this.#role);
    if (armed) checkArmed(scope, block);
    return this.#blockItem({ type: 'within', id, scope, body: block });
  }

  /** An empty folder `here` that is always removed. */
  scratch(name: string): Scope {
    return { kind: 'scratch', place: HERE, name };
  }

  /** Tells people or programs something; it fails nothing, and nothing can take it back. */
  notify(notice: Notice): { readonly sent: Ref<readonly string[]> } {
    return this.#notify('message', notice);
  }

  /** Tells that the body begins, that it is done, or that it failed and whether all was put back. `text` names it. */
  notifying<T>(notice: Notice, body: (p: Recorder) => T): Ref<Resolved<T>> {
    this.#onSpine('notifying');
    const id = this.#nextId();
    const ref = (name: string): Ref<string> => new Ref({ $ref: `${id}.${name}`, at: [] });
    const tell = (name: string, event: Value<string>, because?: Ref<string>): Block =>
      this.#block(`${id}.${name}.`, (p) => void p.#notify(event, notice, because), 'inner');
    return this.#blockItem({
      type: 'notifying',
      id,
      start: tell('start', 'start'),
      body: this.#block(`${id}.`, body),
      success: tell('success', 'success'),
      failure: tell('failure', ref('outcome'), ref('because')),
    });
  }

  #notify(event: Value<string>, notice: Notice, because?: Ref<string>): Yielded<typeof TOLD> {
    const args = notifyArgs(event, notice, because);
    return this.step('notify', HERE, 'tells', args, TOLD, {}) as Yielded<typeof TOLD>;
  }

  /** Repeats reading steps until the returned condition holds `times` in a row; yields the last value. */
  waitUntil<T>(
    summary: string,
    body: (p: Recorder) => { readonly until: Value<boolean>; readonly value: T },
    options: {
      readonly times?: number;
      readonly everyMs?: number;
      readonly timeoutMs: number;
      readonly orElse?: 'fail' | 'go-on';
    },
  ): Ref<Resolved<T>> {
    const id = this.#nextId();
    let until: Json = false;
    const block = this.#block(
      `${id}.`,
      (p) => {
        const recorded = body(p);
        until = plain(recorded.until);
        return recorded.value;
      },
      'wait',
    );
    const { times = 1, everyMs = 250, timeoutMs, orElse = 'fail' } = options;
    refuseTimeout(timeoutMs, () => id);
    return this.#blockItem({ type: 'wait', id, body: block, until, times, everyMs, timeoutMs, orElse, summary });
  }

  /** Goes on only if the condition holds, or the value is not null; otherwise refuses (status 3) with the message. */
  require(value: Ref<boolean>, refusal: Value<string>): void;
  require<T>(value: Ref<T | null>, refusal: Value<string>): Ref<T>;
  require(value: Ref<unknown>, refusal: Value<string>): unknown {
    const id = this.#nextId();
    this.#add({ type: 'require', id, value: plain(value), refusal: plain(refusal) });
    return value;
  }

  /** Does all branches at the same time; yields what each returned. */
  parallel<B extends { readonly [name: string]: (p: Recorder) => unknown }>(
    branches: B,
  ): Ref<{ readonly [K in keyof B]: Resolved<ReturnType<B[K]>> }> {
    const id = this.#nextId();
    const odd = Object.keys(branches).find((name) => !/^[A-Za-z][\w-]*$/.test(name));
    if (odd !== undefined)
      throw new TypeError(
        `a branch's name is part of the ids of its steps: letters, digits, _ and -, not ${JSON.stringify(odd)}`,
      );
    const blocks = Object.entries(branches).map(
      ([name, body]) => [name, this.#block(`${id}.${name}.`, body, this.#inner)] as const,
    );
    return this.#blockItem({ type: 'parallel', id, branches: Object.fromEntries(blocks) });
  }

  /** Keeps what was started up, until a signal or the end of one of them. */
  hold(): void {
    this.#onSpine('hold');
    this.#add({ type: 'hold', id: this.#nextId() });
  }

  /**
   * Starts services at the same time, each once those that it comes `after` are ready, and keeps them up (`hold`).
   * They stop in the reverse order.
   */
  serve(services: readonly ServiceHere[]): void {
    if (services.length === 0) throw new TypeError('serve starts services, and was given none');
    const up = (service: ServiceHere) => (p: Recorder) =>
      void p.change({
        touches: [p.service(service.name)],
        do: (p) => p.step('service', HERE, 'changes', startArgs(service), s.null, {}),
        undo: (p) => p.stop(service),
      });
    this.parallel(Object.fromEntries(inStartOrder(services).map((service) => [service.name, up(service)])));
    this.hold();
  }

  /** From here on the task's changes stay. */
  settle(): void {
    this.#onSpine('settle');
    this.#add({ type: 'settle', id: this.#nextId() });
  }

  /** What concerns the whole task stands at its top, or inside `when` and `within`. */
  #onSpine(what: string): void {
    if (this.#role !== 'spine')
      throw new TypeError(
        `${what} concerns the whole task: it cannot stand inside a change, wait, each, guard or parallel`,
      );
  }

  /** The role of a block that may be left out or repeated. */
  get #inner(): Role {
    return this.#role === 'spine' ? 'inner' : this.#role;
  }

  #nextId(): StepId {
    return `${this.#prefix}${String(this.#items.length + 1)}`;
  }

  #add(item: Item): void {
    this.#mustBeActive(item.type);
    this.#items.push(item);
  }

  #mustBeActive(what: string): void {
    if (this.#recording.active === this) return;
    if (this.#recording.active === null)
      throw new TypeError(
        `${this.#nextId()}: this ${what} comes too late: the task's steps are recorded once its function returned`,
      );
    throw new TypeError(
      `${this.#nextId()}: this ${what} is recorded on an outer block from inside an inner one; use the recorder that the inner function is given`,
    );
  }

  #blockItem<T>(item: Item): Ref<T> {
    this.#add(item);
    return new Ref<T>({ $ref: item.id, at: [] });
  }

  #block(prefix: string, body: (p: Recorder) => unknown, role: Role = this.#role): Block {
    this.#mustBeActive('block');
    const inner = new Recorder(this.#recording, prefix, role);
    this.#recording.active = inner;
    try {
      const returned = body(inner);
      return { items: inner.#items.slice(), result: plainResult(returned) };
    } finally {
      this.#recording.active = this;
    }
  }
}

function plainResult(returned: unknown): Json {
  if (returned instanceof Promise)
    throw new TypeError('steps are recorded synchronously: the function must not be async');
  return returned === undefined ? null : plain(returned);
}

/** The same fields without those that are undefined. */
function defined(fields: object): object {
  const all: { [name: string]: unknown } = {};
  for (const name in fields) {
    const value = (fields as { readonly [name: string]: unknown })[name];
    if (value !== undefined) all[name] = value;
  }
  return all;
}

function yielded(schema: Schema, id: StepId): unknown {
  if (schema.type !== 'object') return new Ref({ $ref: id, at: [] });
  return Object.fromEntries(Object.keys(schema.fields).map((key) => [key, new Ref({ $ref: id, at: [key] })]));
}
