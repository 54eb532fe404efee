import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Holding } from '../engine/holding.ts';
import { cancelledBy, whenCancelled } from '../host/cancel.ts';
import { clock } from '../host/clock.ts';
import { openWatcher, type Watcher } from '../host/watcher.ts';
import type { RunEvent } from '../model/event.ts';
import { STATUS, statusOfFailure } from '../model/exit-status.ts';
import { StepFailed, type Failure } from '../model/failure.ts';
import type { Plan } from '../model/plan.ts';
import type { Cancel } from '../model/ports.ts';
import { explainFailure } from '../report/explain.ts';
import { neutral } from '../report/neutral.ts';
import { stoppingWords } from '../report/stopping.ts';
import type { Context } from './context.ts';
import { perform, type PerformOptions, type Prepared, type Watching } from './perform.ts';
import { say } from './reporting.ts';
import { cancelOnSignals } from './signals.ts';
import { watchedInputs, type Changes, type Watched } from './watched.ts';

/** After the last of a burst of changes it rests so long, in ms, but not longer than that after the first. */
const QUIET_MS = 100;
const MAX_BURST_MS = 2_000;
/** An input that changes during so many runs of its task in a row, and only then, is written by the task. */
const SAME_IN_A_ROW = 3;
/** The same of any of its inputs: names may be new each time. Somebody who edits during a slow task does so less often. */
const ANY_IN_A_ROW = 5;
/** What changes so soon after a service came up, in ms, may be its own doing. */
const SETTLING_MS = 2_000;
/** Paths that are named when they change. */
const MAX_NAMED = 3;

/**
 * Runs the goals, and again whenever an input of one of their tasks has changed, until a signal. A run that fails does
 * not end that. Services stay up from run to run, unless their inputs, or those of what they need, have changed.
 */
export async function watch(context: Context, prepared: Prepared, options: PerformOptions): Promise<number> {
  const { plan } = prepared;
  const watched = watchedInputs(context, plan);
  const { cancel, release } = cancelOnSignals();
  const holding = new Holding();
  const bell = new Bell();
  const edits = new Edits(context.projectDir);
  const watcher = await openWatcher(context.projectDir, [...watched.globs, edits.globs], () => bell.ring());
  const [selfWriters, settling] = [new SelfWriters('run'), new SelfWriters('started')];
  const closing: Watching['closing'] = new Map();
  tellUnknown(plan, watched.unknown);
  try {
    let status: number = STATUS.done;
    for (let force = options.force; cancelledBy(cancel) === null; force = false) {
      const ran = new Set<string>();
      const watching = { cancel, holding, closing, heard: (event: RunEvent) => hear(event, ran) };
      status = await once(context, prepared, { ...options, force, watching });
      let changes = selfWriters.sift(await look(watched, watcher), ran);
      if (changes.size > 0) {
        await bell.quiet(cancel);
        changes = new Map([...changes, ...(await look(watched, watcher))]);
      } else if (cancelledBy(cancel) === null) {
        tellLost(holding);
        say('watching for changes; Ctrl-C ends');
        const settledMs = clock.nowMs() + SETTLING_MS;
        const begun = new Set(holding.ids.filter((id) => ran.has(id)));
        let wrote = false;
        changes = await nextChanges(watched, watcher, bell, cancel, (found, atMs) => {
          edits.tell();
          if (found.size === 0) return found;
          if (begun.size > 0 && atMs < settledMs) {
            wrote = true;
            return settling.sift(found, begun);
          }
          // A start that left its inputs alone ends the suspicion.
          if (!wrote) settling.sift(new Map(), begun);
          settling.forget();
          return found;
        });
        selfWriters.forget();
        if (cancelledBy(cancel) !== null && holding.ids.length > 0) say(stoppingWords(false));
      }
      if (cancelledBy(cancel) !== null) break;
      say(`changed: ${named(changes)}`);
      await holding.end(affected(holding.ids, plan, changes), { reason: 'no-longer-needed' });
    }
    const why = cancelledBy(cancel);
    return status === STATUS.notPutBack || why === null ? status : statusOfFailure(why);
  } finally {
    await holding.end(holding.ids, cancel.cancelled ?? { reason: 'no-longer-needed' });
    await Promise.all(closing.values());
    await watcher.close();
    release();
  }
}

/** Waits until something differs that counts; empty when cancelled. */
async function nextChanges(
  watched: Watched,
  watcher: Watcher,
  bell: Bell,
  cancel: Cancel,
  sift: (changes: Changes, atMs: number) => Changes,
): Promise<Changes> {
  let changes: Changes = new Map();
  while (changes.size === 0 && cancelledBy(cancel) === null) {
    await bell.rung(cancel);
    const rungMs = clock.nowMs();
    await bell.quiet(cancel);
    changes = sift(await look(watched, watcher), rungMs);
  }
  return changes;
}

/** What differs now; of what happens to it from here on the watcher tells. What cannot be read is said, and may be put right. */
async function look(watched: Watched, watcher: Watcher): Promise<Changes> {
  watcher.follow(watched.links());
  await watcher.sound();
  try {
    return watched.changes();
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    tell(error.failure);
    return new Map();
  }
}

/** One run; what it was refused for is said, and may be put right. */
async function once(context: Context, prepared: Prepared, options: PerformOptions): Promise<number> {
  try {
    return await perform(context, prepared, options);
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    tell(error.failure);
    return statusOfFailure(error.failure);
  }
}

function tell(failure: Failure, who = 'slipway'): void {
  const { message, next } = explainFailure(failure);
  say(`${who}: ${message}`);
  say(`  ${next}`);
}

/** What runs is what `tasks.ts` said when the watch began: an edit of it is told, once. */
class Edits {
  readonly #projectDir: string;
  readonly #path = process.argv[1] ?? '';
  #seen: string | null;

  constructor(projectDir: string) {
    this.#projectDir = projectDir;
    this.#seen = this.#read();
  }

  /** None for a file that lies elsewhere. */
  get globs(): readonly string[] {
    const name = basename(this.#path);
    return join(this.#projectDir, name) === this.#path ? [name] : [];
  }

  tell(): void {
    const now = this.#read();
    // A file that is just being replaced is not there for a moment.
    if (now === null || now === this.#seen) return;
    this.#seen = now;
    say(`${basename(this.#path)} was edited: what it says now counts once the watch is begun again`);
  }

  #read(): string | null {
    try {
      return readFileSync(this.#path, 'utf8');
    } catch {
      return null;
    }
  }
}

/** Collects the tasks that did something in a run. */
function hear(event: RunEvent, ran: Set<string>): void {
  if (event.type === 'step-started') ran.add(event.task);
}

function tellUnknown(plan: Plan, unknown: Plan['nodes']): void {
  if (unknown.length === 0) return;
  const ids = unknown.map(({ id }) => id).join(', ');
  const some = plan.nodes.length > 1 ? '; what changes elsewhere runs them, too' : '';
  say(`not watched, without declared inputs: ${ids}${some}`);
}

const told = new WeakSet<object>();

/** A service that ends while nothing runs is told by nobody else. */
function tellLost(holding: Holding): void {
  for (const id of holding.ids) {
    const up = holding.get(id);
    if (!up || told.has(up)) continue;
    told.add(up);
    up.lost.onCancel((failure) => tell(failure, id));
  }
}

function named(changes: Changes): string {
  const paths = [...new Set([...changes.values()].flat())];
  const more = paths.length > MAX_NAMED ? ` and ${String(paths.length - MAX_NAMED)} more` : '';
  return (
    paths
      .slice(0, MAX_NAMED)
      .map((path) => neutral(path, false))
      .join(', ') + more
  );
}

/** Services that stand on a changed input: their own, or one of a task that they need. */
function affected(ids: readonly string[], plan: Plan, changes: Changes): readonly string[] {
  const changed = new Set(changes.keys());
  for (const { id, needs } of plan.nodes) if (needs.some((need) => changed.has(need))) changed.add(id);
  return ids.filter((id) => changed.has(id));
}

/** Rings when something may have changed. */
class Bell {
  #rang = false;
  #wake: () => void = () => undefined;

  ring(): void {
    this.#rang = true;
    this.#wake();
  }

  /** Waits for the next ring, also one that came already. */
  async rung(cancel: Cancel): Promise<void> {
    if (this.#rang) return;
    const cancelled = whenCancelled(cancel);
    await Promise.race([new Promise<void>((resolve) => (this.#wake = resolve)), cancelled.came]);
    cancelled.withdraw();
  }

  /** Waits until it has not rung for a while. */
  async quiet(cancel: Cancel): Promise<void> {
    const lateMs = clock.nowMs() + MAX_BURST_MS;
    do {
      this.#rang = false;
      await clock.sleep(QUIET_MS, cancel);
    } while (this.#hasRung() && clock.nowMs() < lateMs && cancel.cancelled === null);
  }

  /** A call, since a field that was just set counts as unchanged for the compiler. */
  #hasRung(): boolean {
    return this.#rang;
  }
}

/** Finds out which tasks write what they read: their runs would follow each other for ever. */
class SelfWriters {
  readonly #again: string;
  /** By task, and by task and path: runs in a row during which it changed. */
  readonly #inARow = new Map<string, number>();
  /** Of those, what is taken to be the task's doing, until a run of it leaves it alone. */
  readonly #known = new Set<string>();

  constructor(again: 'run' | 'started') {
    this.#again = again;
  }

  /** What changed while these tasks ran and is to be run for; what they wrote themselves is named instead. */
  sift(changes: Changes, ran: ReadonlySet<string>): Changes {
    const mine = new Map([...changes].filter(([task]) => ran.has(task)));
    this.#count(mine, ran);
    const left = new Map<string, readonly string[]>();
    for (const [task, all] of changes) {
      const known = (path: string): boolean => this.#known.has(task) || this.#known.has(keyOf(task, path));
      const own = ran.has(task) ? all.filter(known) : [];
      if (own.length > 0)
        say(
          `${task} writes its own inputs: ${named(new Map([[task, own]]))}; it is not ${this.#again} again for that. Was it you? Save once more`,
        );
      const others = all.filter((path) => !own.includes(path));
      if (others.length > 0) left.set(task, others);
    }
    return left;
  }

  #count(changes: Changes, ran: ReadonlySet<string>): void {
    const keys = new Set([...changes].flatMap(([task, paths]) => [task, ...paths.map((path) => keyOf(task, path))]));
    for (const key of this.#inARow.keys()) if (!keys.has(key)) this.#inARow.delete(key);
    for (const key of this.#known) if (!keys.has(key) && ran.has(taskIn(key))) this.#known.delete(key);
    for (const key of keys) {
      const times = (this.#inARow.get(key) ?? 0) + 1;
      this.#inARow.set(key, times);
      if (times === (key === taskIn(key) ? ANY_IN_A_ROW : SAME_IN_A_ROW)) this.#known.add(key);
    }
  }

  /** Somebody changed something while nothing ran. */
  forget(): void {
    this.#inARow.clear();
  }
}

const keyOf = (task: string, path: string): string => `${task}\0${path}`;
const taskIn = (key: string): string => key.split('\0', 1)[0] ?? key;
