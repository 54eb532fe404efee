import type { Json } from './json.ts';
import { plain, type Ref, type Refs, type StepId, type Value } from './ref.ts';
import { s, type Infer, type ObjectSchema, type Schema } from './schema.ts';
import { startArgs, type ServiceHere } from './service-here.ts';
import {
  LATER_PATH,
  type Effect,
  type Output,
  type Place,
  type Retries,
  type Scope,
  type StepArgs,
  type StepKind,
  type Touch,
} from './step.ts';

/** What a step hands back: a ref for each field of an object, otherwise one ref. */
export type Yielded<S> = [S] extends [ObjectSchema<infer T>] ? Refs<T> : Ref<Infer<S>>;

/** A named operation or question of a driver, with the schema of its answer. */
export interface Operation<S extends Schema = Schema, E extends Effect = Effect> {
  readonly name: string;
  readonly effect: E;
  readonly yields: S;
  readonly volatile?: boolean;
}

/** What may be said of any step. */
export interface StepOptions {
  /** The name that `--confirm` must give before an irreversible step is performed. */
  readonly confirm?: string | undefined;
  readonly summary?: string | undefined;
  readonly timeoutMs?: number | undefined;
  readonly retries?: Retries | undefined;
}

interface CommandOptions extends StepOptions {
  readonly effect: Effect;
  readonly cwd?: Value<string>;
  readonly env?: { readonly [name: string]: Value<string> };
  readonly stdin?: 'none' | 'terminal';
  readonly okExits?: readonly number[];
}

/** A command; a ref to a list stands for all its elements. */
export type Argv = readonly (Value<string> | Ref<readonly string[]>)[];

/** Where the steps of a site are written down: a recorder. */
export interface StepSink {
  /** Whether the block is inside a change. */
  readonly inChange: boolean;
  /** The id of what was recorded last. */
  readonly lastId: StepId;
  step<K extends StepKind>(
    kind: K,
    place: Place,
    effect: Effect,
    args: StepArgs[K],
    yields: Schema,
    options: StepOptions & { readonly volatile?: boolean | undefined },
  ): unknown;
  change(spec: {
    readonly touches: readonly Touch[];
    readonly do: (p: StepSink) => void;
    readonly undo: (p: StepSink) => void;
  }): unknown;
}

/** What a place offers to steps: `here`, or a device below its root. */
export abstract class Site {
  abstract readonly place: Place;
  protected abstract get recorder(): StepSink;

  /** Runs a command, argv as it stands: no shell. */
  run(argv: Argv, options: CommandOptions): void;
  /** The same, its standard output being the value: as text for a string, otherwise parsed as JSON and checked. */
  run<S extends Schema>(argv: Argv, options: CommandOptions & { readonly yields: S }): Yielded<S>;
  run(argv: Argv, options: CommandOptions & { readonly yields?: Schema }): unknown {
    if (argv.length === 0) throw new TypeError('a command needs at least its name');
    return this.#command('run', { argv: argv.map(plain) }, options);
  }

  /** Runs a shell script: for what argv cannot say. */
  shell(script: Value<string>, options: CommandOptions): void;
  shell<S extends Schema>(script: Value<string>, options: CommandOptions & { readonly yields: S }): Yielded<S>;
  shell(script: Value<string>, options: CommandOptions & { readonly yields?: Schema }): unknown {
    return this.#command('shell', { script: plain(script) }, options);
  }

  #command(
    kind: 'run' | 'shell',
    what: { argv: Json[] } | { script: Json },
    options: CommandOptions & { readonly yields?: Schema },
  ): unknown {
    const output: Output = options.yields === undefined ? 'none' : options.yields.type === 'string' ? 'text' : 'json';
    const args = {
      ...what,
      output,
      cwd: options.cwd === undefined ? undefined : plain(options.cwd),
      env: options.env === undefined ? undefined : plain(options.env),
      stdin: options.stdin,
      okExits: options.okExits,
    };
    const { effect, summary, timeoutMs, retries, confirm } = options;
    return this.recorder.step(kind, this.place, effect, args as never, options.yields ?? s.null, {
      summary,
      timeoutMs,
      retries,
      confirm,
    });
  }

  /** Asks a named question; nothing changes. */
  probe<S extends Schema>(
    question: Operation<S, 'reads'>,
    args: { readonly [key: string]: unknown } = {},
    options: StepOptions = {},
  ): Yielded<S> {
    const full = { ...options, volatile: question.volatile };
    return this.recorder.step(
      'probe',
      this.place,
      'reads',
      { ask: question.name, args: plain(args) },
      question.yields,
      full,
    ) as Yielded<S>;
  }

  /** Asks for a named operation that the place's driver does atomically. */
  call<S extends Schema>(
    operation: Operation<S>,
    args: { readonly [key: string]: unknown } = {},
    options: StepOptions = {},
  ): Yielded<S> {
    const what = { operation: operation.name, args: plain(args) };
    return this.recorder.step('call', this.place, operation.effect, what, operation.yields, options) as Yielded<S>;
  }

  /** Writes a file whole. Outside a `change` it is one of its own, undone from what was there. */
  write(
    path: Value<string>,
    content: Value<string>,
    options: StepOptions & { readonly mode?: number; readonly effect?: 'derives' } = {},
  ): void {
    this.#alter('write', path, { path: plain(path), content: plain(content), mode: options.mode ?? 0o644 }, options);
  }

  /** Makes or replaces a symbolic link; a `null` target removes it. */
  link(
    path: Value<string>,
    target: Value<string | null>,
    options: StepOptions & { readonly effect?: 'derives' } = {},
  ): void {
    this.#alter('link', path, { path: plain(path), target: plain(target) }, options);
  }

  /** Removes a file or tree. */
  remove(path: Value<string>, options: StepOptions & { readonly effect?: 'derives' | 'collects' } = {}): void {
    this.#alter('remove', path, { path: plain(path) }, options);
  }

  #alter<K extends 'write' | 'link' | 'remove'>(
    kind: K,
    path: Value<string>,
    args: StepArgs[K],
    { effect, ...options }: StepOptions & { readonly effect?: 'derives' | 'collects' },
  ): void {
    const record = (r: StepSink): StepId => {
      r.step(kind, this.place, effect ?? 'changes', args, s.null, options);
      return r.lastId;
    };
    if (effect !== undefined || this.recorder.inChange) return void record(this.recorder);
    let saved: StepId = '';
    this.recorder.change({
      touches: [{ place: this.place, path: typeof path === 'string' ? path : LATER_PATH }],
      do: (r) => void (saved = record(r)),
      undo: (r) => void r.step('restore', this.place, 'changes', { path: plain(path), saved }, s.null, {}),
    });
  }

  /** Starts a service: `here` from its spec, on a device from the declarations of the release. */
  start(service: ServiceHere | DeviceService): void {
    if (!('argv' in service)) return this.#service('start', service);
    if (service.after !== undefined)
      throw new TypeError(`${service.name} names services that it comes after: start them together, with p.serve`);
    this.recorder.step('service', this.place, 'changes', startArgs(service), s.null, {});
  }

  /** Stops a service; `here` its name says enough. */
  stop(service: ServiceHere | DeviceService): void {
    this.#service('stop', 'argv' in service ? { name: service.name } : service);
  }

  #service(operation: 'start' | 'stop', { name, ...spec }: DeviceService | { readonly name: string }): void {
    const args = { operation, name: plain(name), spec: plain(spec) };
    this.recorder.step('service', this.place, 'changes', args, s.null, {});
  }

  /** Names a file, tree or link for `touches`. */
  path(path: string): Touch {
    return { place: this.place, path };
  }

  /** Names a service for `touches`. */
  service(service: string): Touch {
    return { place: this.place, service };
  }
}

/** A service of a release on a device. */
export interface DeviceService {
  readonly name: Value<string>;
  readonly release: Value<string | null>;
}

/** A device: everything of a site, and transfer. */
export class DeviceSite extends Site {
  override readonly place: Place;
  protected override readonly recorder: StepSink;

  constructor(recorder: StepSink, place: Place) {
    super();
    this.recorder = recorder;
    this.place = place;
  }

  /** Sends a packed tree by content; it becomes a staged release. */
  upload(tree: { readonly from: Value<string>; readonly release: Value<string> }): { readonly path: Ref<string> } {
    const yields = s.object({ path: s.string, sentFiles: s.number, sentBytes: s.number });
    const args = { from: plain(tree.from), release: plain(tree.release) };
    return this.recorder.step('upload', this.place, 'changes', args, yields, {}) as Yielded<typeof yields>;
  }

  /** A switch of releases that the device takes back by itself unless it is confirmed; `leaseMs` of silence suffice. */
  deadMan(spec: {
    readonly release: Value<string>;
    readonly from: Value<string | null>;
    readonly leaseMs: number;
  }): Scope {
    const { release, from, leaseMs } = spec;
    return { kind: 'deadMan', place: this.place, name: 'switch', release: plain(release), from: plain(from), leaseMs };
  }

  /** A lock of the device's kernel, freed when the connection or the runner ends. */
  lock(name: string): Scope {
    return { kind: 'lock', place: this.place, name };
  }
}
