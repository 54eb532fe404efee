import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { openFreshness } from '../../lib/cli/freshness-store.ts';
import { dryPerformer } from '../../lib/engine/dry.ts';
import { makePlan } from '../../lib/engine/graph.ts';
import { runPlan } from '../../lib/engine/run.ts';
import { showPlan } from '../../lib/engine/show.ts';
import { CancelSource } from '../../lib/engine/cancel.ts';
import { clock } from '../../lib/host/clock.ts';
import { sha256 } from '../../lib/host/hash.ts';
import { createHostPerformer } from '../../lib/host/performer.ts';
import type { Check } from '../../lib/model/check.ts';
import type { RunEvent } from '../../lib/model/event.ts';
import type { Failure } from '../../lib/model/failure.ts';
import type { Recorder } from '../../lib/model/recorder.ts';
import { task, type Need, type Task } from '../../lib/model/task.ts';
import { tempDir } from '../host/rig.ts';

export interface Ran {
  readonly status: number;
  /** `build done`, in the order in which tasks ended. */
  readonly outcomes: readonly string[];
  readonly checks: ReadonlyMap<string, Check>;
  readonly failures: readonly Failure[];
  readonly events: readonly RunEvent[];
  /** What was said beside it. */
  readonly said: readonly string[];
}

export interface Shown {
  /** `build fresh`, `build may be skipped`, `build runs`. */
  readonly states: readonly string[];
  readonly checks: ReadonlyMap<string, Check>;
}

/** A checkout in a temporary folder, in which real commands run, with what `.slipway` knows of them. */
export class Checkout {
  readonly dir = tempDir();
  readonly variables = new Map<string, string>();

  path(...parts: string[]): string {
    return join(this.dir, ...parts);
  }

  put(path: string, content: string, mode = 0o644): this {
    fs.mkdirSync(dirname(this.path(path)), { recursive: true });
    fs.writeFileSync(this.path(path), content, { mode });
    return this;
  }

  read(path: string): string {
    return fs.readFileSync(this.path(path), 'utf8');
  }

  /** Files below a folder with their contents, links with their targets, folders with nothing in them. */
  tree(folder: string): { readonly [path: string]: string } {
    if (!fs.existsSync(this.path(folder))) return {};
    // Not with `recursive`, which from Node 22 on goes through links.
    const below = (path: string, prefix: string): readonly (readonly [string, string])[] =>
      fs.readdirSync(path, { withFileTypes: true }).flatMap((one): readonly (readonly [string, string])[] => {
        const [full, name] = [join(path, one.name), prefix + one.name];
        if (one.isSymbolicLink()) return [[name, `-> ${fs.readlinkSync(full)}`]];
        if (!one.isDirectory()) return [[name, fs.readFileSync(full, 'utf8')]];
        return fs.readdirSync(full).length === 0 ? [[`${name}/`, '']] : below(full, `${name}/`);
      });
    return Object.fromEntries<string>([...below(this.path(folder), '')].sort(([a], [b]) => a.localeCompare(b)));
  }

  #freshness(mode: 'looks' | 'keeps', said: string[]): ReturnType<typeof openFreshness> {
    const folders = { projectDir: this.dir, slipwayDir: this.path('.slipway') };
    return openFreshness(
      folders,
      (name) => this.variables.get(name),
      (line) => void said.push(line),
      mode,
    );
  }

  async run(goal: Need | Need[], { force = false, keepGoing = false } = {}): Promise<Ran> {
    const { plan } = makePlan(Array.isArray(goal) ? goal : [goal], sha256);
    const said: string[] = [];
    const events: RunEvent[] = [];
    const { freshness, save } = this.#freshness('keeps', said);
    const host = createHostPerformer({
      projectDir: this.dir,
      slipwayDir: this.path('.slipway'),
      run: 'r1',
      secrets: new Map(),
      lookupEnv: (name) => this.variables.get(name),
      opaque: new Map(),
      graceMs: 500,
    });
    onTestFinished(() => host.close());
    const status = await runPlan(plan, {
      run: 'r1',
      performer: host,
      clock,
      cancel: new CancelSource(),
      capacity: { jobs: 2, memoryMb: 1000, cpu: 2 },
      keepGoing,
      freshness,
      force,
      emit: (event) => void events.push(event),
      line: (step) => step.id,
    });
    save();
    const ended = events.flatMap((event) => (event.type === 'task-finished' ? [event] : []));
    return {
      status,
      outcomes: ended.map(({ task, outcome }) => `${task} ${outcome}`),
      checks: new Map(events.flatMap((event) => (event.type === 'task-checked' ? [[event.task, event.check]] : []))),
      failures: ended.flatMap(({ failure }) => failure ?? []),
      events,
      said,
    };
  }

  async show(goal: Need | Need[]): Promise<Shown> {
    const { plan } = makePlan(Array.isArray(goal) ? goal : [goal], sha256);
    const { freshness } = this.#freshness('looks', []);
    const line = (step: { readonly id: string }): string => step.id;
    const { tasks } = await showPlan(plan, { performer: dryPerformer, clock, freshness, force: false, line });
    return {
      states: tasks.map((one) => `${one.task} ${one.state}`),
      checks: new Map(tasks.map((one) => [one.task, one.check])),
    };
  }
}

/** A task of one shell script that derives. */
export const script = (name: string, text: string, spec: object = {}): Task<{}> =>
  task(name, { summary: name, ...spec, steps: (p: Recorder) => p.shell(text, { effect: 'derives' }) });

/** Copies `src` to `out` and counts in `.count` how often. */
export const BUILD = 'echo x >> .count; rm -rf out; cp -RP src out';
export const build = script('build', BUILD, { inputs: ['src/**'], outputs: ['out/**'] });

/** How often `BUILD` ran. */
export const built = (checkout: Checkout): number =>
  fs.existsSync(checkout.path('.count')) ? checkout.read('.count').split('\n').length - 1 : 0;

/** All files that are kept: contents and entries. */
export function keptFiles(checkout: Checkout): {
  readonly blobs: readonly string[];
  readonly entries: readonly string[];
} {
  const below = (folder: string): readonly string[] => {
    const full = checkout.path('.slipway/cache', folder);
    if (!fs.existsSync(full)) return [];
    return fs
      .readdirSync(full, { recursive: true, withFileTypes: true })
      .flatMap((one) => (one.isFile() ? [join(one.parentPath, one.name)] : []));
  };
  return { blobs: below('blobs'), entries: below('entries') };
}
