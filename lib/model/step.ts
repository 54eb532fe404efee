import type { Json } from './json.ts';
import type { StepId } from './ref.ts';
import type { Schema } from './schema.ts';

/** Where a step acts: `here`, or a device by name. */
export type Place = string;
export const HERE: Place = 'here';

/**
 * What a step does to the world:
 * - `reads`: asks, changes nothing
 * - `derives`: writes only the task's declared outputs, which can be made again
 * - `changes`: stands in a `change` block, which carries its undo
 * - `collects`: deletes only what Slipway made and nothing refers to
 * - `tells`: says something to people or programs outside; nothing depends on it, and it fails nothing
 * - `irreversible`: stands behind a confirmation; the dry run says so in plain words
 */
export type Effect = 'reads' | 'derives' | 'changes' | 'collects' | 'tells' | 'irreversible';

/** Data that may hold refs, which a performer sees replaced by their values. */
export type Data = Json;

/** How the standard output of a command becomes the step's value. */
export type Output = 'none' | 'text' | 'lines' | 'json';

/** What a command needs to run, wherever it runs. `env` holds names and values beyond the declared ones. */
interface Command {
  readonly cwd?: Data;
  readonly env?: { readonly [name: string]: Data };
  readonly stdin?: 'none' | 'terminal';
  readonly output: Output;
  /** Exit statuses that count as success; `[0]` unless told. */
  readonly okExits?: readonly number[];
}

/** The arguments of each kind of step. Paths are relative to the project `here`, to the root on a device. */
export interface StepArgs {
  /** Runs argv as it stands: no shell. */
  run: Command & { readonly argv: readonly Data[] };
  /** Runs a script through `sh -c`: visibly another kind than `run`. */
  shell: Command & { readonly script: Data };
  /** Calls an async function of the task's author; its source is part of the plan's digest. */
  opaque: { readonly name: string; readonly source: string };
  /** Asks the place's driver a named, read-only question. */
  probe: { readonly ask: string; readonly args: Data };
  /** Asks the place's driver for a named operation that must be atomic or durable there. */
  call: { readonly operation: string; readonly args: Data };
  /** Writes a file whole, atomically, with mode `mode` (octal permission bits as a number). */
  write: { readonly path: Data; readonly content: Data; readonly mode: number };
  /** Makes or replaces a symbolic link, atomically; a `null` target removes it. */
  link: { readonly path: Data; readonly target: Data };
  /** Removes a file, link or tree. */
  remove: { readonly path: Data };
  /** Puts back what a `write`, `link` or `remove` found at `path`, saved under that step's id. */
  restore: { readonly path: Data; readonly saved: StepId };
  /** Sends a packed tree to a device by content and makes it a staged release. */
  upload: { readonly from: Data; readonly release: Data };
  /** Starts or stops a service. On a device the release's own declarations say how. */
  service: { readonly operation: 'start' | 'stop'; readonly name: Data; readonly spec: Data };
  /** Tells every channel of `to` at the same time; what it says of `about` comes with run, person and time. */
  notify: {
    readonly to: Data;
    /** `message`, or a `NotifyEvent`. */
    readonly event: Data;
    readonly text: Data;
    /** The literal reason of the failure, if one is told. */
    readonly because?: Data;
    readonly about: { readonly system: string | null; readonly device: Place | null; readonly release: Data };
  };
}

/** What is told of a block: that it begins, and what became of it. */
export type NotifyEvent = 'start' | 'success' | NotifyFailure;
/** `unfinished`: what had settled stays, and what was to follow failed. */
export type NotifyFailure = 'failure' | 'taken-back' | 'not-put-back' | 'unfinished';

export type StepKind = keyof StepArgs;

/** How often a failed `reads` or `derives` step is tried again, and how long it rests between (doubled each time). */
export interface Retries {
  readonly times: number;
  readonly backoffMs: number;
}

interface StepOf<K extends StepKind> {
  readonly type: 'step';
  readonly id: StepId;
  readonly kind: K;
  readonly place: Place;
  readonly effect: Effect;
  readonly args: StepArgs[K];
  readonly yields: Schema;
  /** One line in plain words, where argv does not speak for itself. */
  readonly summary?: string;
  readonly timeoutMs?: number;
  readonly retries?: Retries;
  /** Of an irreversible step: the name that `--confirm` must give. */
  readonly confirm?: string;
  /** The value differs from moment to moment (free bytes, say): an approval compares the decisions made on it, not it. */
  readonly volatile?: boolean;
}

/** One described act, as plain data. */
export type Step = { [K in StepKind]: StepOf<K> }[StepKind];

/** Steps in order, and the data that they add up to (`result` may hold refs). */
export interface Block {
  readonly items: readonly Item[];
  readonly result: Data;
}

/** What a change may alter, so that its effect can be proved and a later run's claim on the same thing be seen. */
export type Touch =
  | { readonly place: Place; readonly path: string }
  | { readonly place: Place; readonly service: string }
  | { readonly place: Place; readonly data: string };

/** A path that only a ref will tell. */
export const LATER_PATH = '‹later›';

/** A resource that is held while a body runs. */
export type Scope =
  | { readonly kind: 'lock'; readonly place: Place; readonly name: string }
  /** An empty folder that is always removed; its path is the scope's value. */
  | { readonly kind: 'scratch'; readonly place: Place; readonly name: string }
  /**
   * A switch to `release` that the device itself takes back, change by change, unless it is confirmed: when it is
   * asked to, when it boots, or when it did not hear from this side for `leaseMs`. Leaving it settles the task.
   */
  | {
      readonly kind: 'deadMan';
      readonly place: Place;
      readonly name: string;
      readonly release: Data;
      /** The release that is left; `null` on a first deploy. */
      readonly from: Data;
      readonly leaseMs: number;
    };

/** A step, or structure over steps. A block's id stands for the value that it yields. */
export type Item =
  | Step
  | {
      readonly type: 'change';
      readonly id: StepId;
      readonly touches: readonly Touch[];
      readonly do: Block;
      readonly undo: Block;
      /** `always`: undone by every later failure. `unless-done`: only while `do` itself did not finish. */
      readonly undone: 'always' | 'unless-done';
    }
  | {
      readonly type: 'when';
      readonly id: StepId;
      readonly condition: Data;
      readonly then: Block;
      readonly otherwise: Block;
    }
  | { readonly type: 'each'; readonly id: StepId; readonly over: Data; readonly item: StepId; readonly body: Block }
  | { readonly type: 'guard'; readonly id: StepId; readonly body: Block; readonly recover: Block }
  | { readonly type: 'within'; readonly id: StepId; readonly scope: Scope; readonly body: Block }
  | {
      readonly type: 'wait';
      readonly id: StepId;
      readonly body: Block;
      /** A condition over the body's refs. */
      readonly until: Data;
      /** How often in a row it must hold. */
      readonly times: number;
      readonly everyMs: number;
      readonly timeoutMs: number;
      /** What happens at the timeout: the wait fails, or the walk goes on with the last value. */
      readonly orElse: 'fail' | 'go-on';
      readonly summary: string;
    }
  | { readonly type: 'require'; readonly id: StepId; readonly value: Data; readonly refusal: Data }
  | { readonly type: 'parallel'; readonly id: StepId; readonly branches: { readonly [name: string]: Block } }
  /** Tells that the body begins, and what became of it: in `failure` that is `ID.outcome` and `ID.because`. */
  | {
      readonly type: 'notifying';
      readonly id: StepId;
      readonly start: Block;
      readonly body: Block;
      readonly success: Block;
      readonly failure: Block;
    }
  /** Keeps the services of the undo scope up until a signal comes or one of them ends. */
  | { readonly type: 'hold'; readonly id: StepId }
  /** From here on the task's changes stay: a later failure takes nothing back, and `recover` finishes. */
  | { readonly type: 'settle'; readonly id: StepId };

/** Visits every item of a block, outer before inner, in the order of the plan; undos are not visited. */
export function* itemsIn(block: Block): Generator<Item> {
  for (const item of block.items) {
    yield item;
    for (const inner of blocksIn(item)) yield* itemsIn(inner);
  }
}

/** The blocks directly inside an item, without its undo. */
export function blocksIn(item: Item): readonly Block[] {
  switch (item.type) {
    case 'change':
      return [item.do];
    case 'when':
      return [item.then, item.otherwise];
    case 'guard':
      return [item.body, item.recover];
    case 'each':
    case 'within':
    case 'wait':
      return [item.body];
    case 'notifying':
      return [item.start, item.body, item.success, item.failure];
    case 'parallel':
      return Object.values(item.branches);
    default:
      return [];
  }
}
