import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Json } from '../../lib/model/json.ts';
import type { Performing } from '../../lib/model/ports.ts';
import type { OpaqueBody } from '../../lib/model/opaque.ts';
import { s } from '../../lib/model/schema.ts';
import type { Step, StepKind } from '../../lib/model/step.ts';
import { CancelSource } from '../../lib/engine/cancel.ts';
import { listProcesses } from '../../lib/host/identity.ts';
import type { Starter } from '../../lib/host/starter.ts';
import { createHostPerformer, type HostPerformer } from '../../lib/host/performer.ts';

/** A project in a temporary folder, with a performer of its own. */
export interface Rig {
  readonly dir: string;
  readonly slipwayDir: string;
  readonly host: HostPerformer;
  readonly cancel: CancelSource;
  readonly performing: Performing;
  /** All output so far, and of one stream. */
  shown(stream?: 'stdout' | 'stderr'): string;
  path(...parts: string[]): string;
  log(step?: string): string;
}

export interface RigOptions {
  readonly secrets?: Record<string, string>;
  readonly env?: Record<string, string>;
  readonly graceMs?: number;
  readonly opaque?: Record<string, OpaqueBody>;
  readonly undoing?: boolean;
  /** Instead of the one for all rigs; `undefined`: the runner starts its commands itself. */
  readonly starter?: Starter | undefined;
}

export function tempDir(): string {
  const dir = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'slipway-host-')));
  onTestFinished(() => fs.rmSync(dir, { recursive: true, force: true }));
  return dir;
}

let starter: Starter | undefined;

/** From now on every command of a rig is started by this one. */
export function startAllBy(helper: Pick<Starter, 'start'>): void {
  starter = lasting(helper);
}

/** Not closed by the end of one rig. */
const lasting = (helper: Pick<Starter, 'start'>): Starter => ({
  start: (...args) => helper.start(...args),
  close: () => undefined,
});

export function rig(options: RigOptions = {}): Rig {
  const dir = tempDir();
  const slipwayDir = join(dir, '.slipway');
  const host = createHostPerformer({
    projectDir: dir,
    slipwayDir,
    run: 'r1',
    secrets: new Map(Object.entries(options.secrets ?? {})),
    lookupEnv: (name) => options.env?.[name],
    opaque: new Map(Object.entries(options.opaque ?? {})),
    graceMs: options.graceMs ?? 500,
    starter: 'starter' in options ? options.starter && lasting(options.starter) : starter,
  });
  onTestFinished(() => host.close());
  const cancel = new CancelSource();
  const shown: { stream: string; text: string }[] = [];
  const performing: Performing = {
    run: 'r1',
    env: Object.keys(options.env ?? {}),
    cancel,
    iteration: '',
    undoing: options.undoing ?? false,
    output: (stream, text) => void shown.push({ stream, text }),
  };
  return {
    dir,
    slipwayDir,
    host,
    cancel,
    performing,
    shown: (stream) =>
      shown
        .filter((one) => stream === undefined || one.stream === stream)
        .map((one) => one.text)
        .join(''),
    path: (...parts) => join(dir, ...parts),
    log: (step = 't+1') => fs.readFileSync(join(slipwayDir, 'runs', 'r1', `${step}.log`), 'utf8'),
  };
}

/** A step `t/1` with these args. */
export function step(kind: StepKind, args: unknown, more: object = {}): Step {
  return {
    type: 'step',
    id: 't/1',
    kind,
    place: 'here',
    effect: 'changes',
    yields: s.null,
    args,
    ...more,
  } as unknown as Step;
}

export const run = (argv: readonly Json[], args: object = {}, more: object = {}): Step =>
  step('run', { argv, output: 'none', ...args }, more);
export const shell = (script: string, args: object = {}, more: object = {}): Step =>
  step('shell', { script, output: 'none', ...args }, more);
export const nodeEval = (source: string, ...args: string[]): string[] => [process.execPath, '-e', source, ...args];

/** Asks again and again until it is so; fails after the deadline. */
export async function until(what: string, holds: () => boolean, deadlineMs = 30_000): Promise<void> {
  const end = Date.now() + deadlineMs;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The helpers that a process has. */
export const helpersOf = (parent: number | undefined): readonly number[] =>
  spawnSync('pgrep', ['-P', String(parent), '-f', 'Starts commands for a runner'], { encoding: 'utf8' })
    .stdout.split('\n')
    .flatMap((pid) => (pid === '' ? [] : [Number(pid)]));

export const lives = (pid: number): boolean => listProcesses().some((row) => row.pid === pid);

/** A pid that a child wrote to a file, once it is there. */
export async function pidIn(path: string): Promise<number> {
  await until(`a pid in ${path}`, () => fs.existsSync(path) && /^\d+\n$/.test(fs.readFileSync(path, 'utf8')));
  return Number(fs.readFileSync(path, 'utf8'));
}
