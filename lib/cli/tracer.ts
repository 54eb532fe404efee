import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { Accesses } from '../host/accesses.ts';
import { folderInside } from '../host/inside.ts';
import { filesToPack, type PackArgs } from '../host/pack.ts';
import { makePrivateFolder } from '../host/store.ts';
import { accessesIn, traced } from '../host/strace.ts';
import { removeTree } from '../host/tree.ts';
import type { Known } from '../model/fact.ts';
import { textOf } from '../model/json.ts';
import type { PlanNode } from '../model/plan.ts';
import type { LivePerformer, Performed } from '../model/ports.ts';
import type { Step } from '../model/step.ts';
import type { Folders } from './project.ts';

/** Under strace everything takes longer: time limits of traced commands are so many times as long. */
const SLOWER = 5;

/** What stands between a run and its performers while one of its tasks is traced. */
export interface Tracer {
  readonly through: (live: LivePerformer) => LivePerformer;
  accessed(): Promise<Accesses>;
  close(): void;
}

/** Puts strace in front of the node's commands; what Slipway itself does for it is known from the steps. */
export function openTracer({ projectDir, slipwayDir }: Folders, node: PlanNode): Tracer {
  makePrivateFolder(join(slipwayDir, 'tmp'));
  const folder = mkdtempSync(join(slipwayDir, 'tmp/trace-'));
  const accesses = new Accesses(projectDir);
  const traces: { readonly file: string; readonly cwd: string }[] = [];
  const wrapped = (step: Step): Step => {
    if (step.kind !== 'run' && step.kind !== 'shell') return step;
    const file = join(folder, String(traces.length));
    const { cwd = '.' } = step.args;
    traces.push({ file, cwd: folderInside(projectDir, textOf(cwd)) });
    const timeoutMs = step.timeoutMs === undefined ? {} : { timeoutMs: step.timeoutMs * SLOWER };
    const argv = step.kind === 'shell' ? ['sh', '-c', step.args.script] : step.args.argv;
    const args = { ...step.args, argv: [...traced([], file), ...argv] };
    return { ...step, ...timeoutMs, kind: 'run', args };
  };
  return {
    through: (live) => ({
      ...live,
      async perform(step, performing) {
        if (!step.id.startsWith(`${node.id}/`)) return live.perform(step, performing);
        note(accesses, step, projectDir);
        return asItself(await live.perform(wrapped(step), performing));
      },
    }),
    async accessed() {
      for (const { file, cwd } of traces) for await (const access of accessesIn(file, cwd)) accesses.add(access);
      return accesses;
    },
    close: () => removeTree(folder),
  };
}

/** A failure names the command, not the tracer in front of it. */
function asItself(performed: Performed<Known>): Performed<Known> {
  if (performed.ok || !('command' in performed.failure)) return performed;
  const command = performed.failure.command.replace(/^strace .*? -- /s, '');
  return { ok: false, failure: { ...performed.failure, command } };
}

/** What Slipway does itself for a step of a task that derives. */
function note(accesses: Accesses, step: Step, projectDir: string): void {
  const add = (what: 'read' | 'write' | 'remove', path: string): void =>
    accesses.add({ what, path: join(projectDir, path), real: null });
  if (step.kind === 'write' || step.kind === 'link') add('write', textOf(step.args.path));
  if (step.kind !== 'call' || step.args.operation !== 'release.pack') return;
  const args = step.args.args as unknown as PackArgs;
  for (const path of filesToPack(args, projectDir)) accesses.add({ what: 'read', path, real: null });
  add('write', args.into);
}
