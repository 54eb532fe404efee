import { StepFailed, UsageError } from '../model/failure.ts';
import type { Context } from './context.ts';
import { STATUS, statusOfFailure } from '../model/exit-status.ts';
import type { Goal, Invocation } from './invocation.ts';
import type { Project } from './project.ts';

export type { Project } from './project.ts';

/** The process ends at the latest so long after its work did, in ms, whatever still is open. */
const LAST_CALL_MS = 2_000;

/** A module's `import.meta`: it holds a `url` wherever it runs, though a project without Node's types does not know. */
type Meta = ImportMeta | { readonly url: string };

/**
 * Carries out the command line of a `tasks.ts`, and sets the exit status.
 * Everything beyond listing is loaded only when it is needed.
 */
export async function main(meta: Meta, project: Project): Promise<void> {
  // To `scripts/launch.cjs`, where it started this process: a `tasks.ts` that never comes here does nothing.
  (globalThis as { readonly [of: symbol]: (() => void) | undefined })[Symbol.for('slipway.called')]?.();
  for (const stream of [process.stdout, process.stderr]) stream.on('error', unheard);
  process.exitCode = await guarded(() => carryOut(meta, project));
  setTimeout(() => process.exit(), LAST_CALL_MS).unref();
}

/** Who closes a pipe wants to read no more. A run listens as well, and goes on whatever becomes of its output. */
function unheard(this: NodeJS.WriteStream, error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE' || this.listenerCount('error') > 1) return;
  if (this !== process.stderr) process.stderr.write(`slipway: the answer cannot be written: ${error.message}\n`);
  process.exit(STATUS.failed);
}

async function guarded(work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (error) {
    const { say } = await import('./reporting.ts');
    if (error instanceof UsageError) {
      say(`slipway: ${error.message}`);
      if (error.hint !== undefined) say(`  ${error.hint}`);
      return STATUS.usage;
    }
    if (error instanceof StepFailed) {
      const { explainFailure } = await import('../report/explain.ts');
      const { message, next } = explainFailure(error.failure);
      say(`slipway: ${message}`);
      say(`  ${next}`);
      return statusOfFailure(error.failure);
    }
    throw error;
  }
}

async function carryOut(meta: Meta, project: Project): Promise<number> {
  if (process.platform === 'win32') throw new UsageError('native Windows is not supported', 'run it inside WSL 2');
  const argv = process.argv.slice(2);
  const { parseArgv } = await import('./argv.ts');
  const invocation = await parseArgv(await argvMeant(argv, project), project.tasks);
  return dispatch(meta, project, invocation);
}

/** The command line as it was meant, where npm or make stood in front and kept a part of it. */
async function argvMeant(argv: readonly string[], { tasks }: Project): Promise<readonly string[]> {
  const { env } = process;
  const made = env['MAKELEVEL'] === undefined ? null : (await import('./make-flags.ts')).makeFlags(env, argv, tasks);
  if (made) throw made;
  if (env['npm_lifecycle_event'] === undefined) return argv;
  const npm = (await import('./npm-flags.ts')).npmFlags(env, argv, tasks);
  if (npm.kind === 'swallowed') throw npm.error;
  if (npm.kind === 'none') return argv;
  (await import('./reporting.ts')).say(npm.notice);
  return npm.argv;
}

async function dispatch(meta: Meta, project: Project, invocation: Invocation): Promise<number> {
  switch (invocation.kind) {
    case 'version':
      return version();
    case 'list':
    case 'help':
      return help(project, invocation);
    case 'graph':
      return (await import('./graph.ts')).printGraph(await contextOf(meta, project, invocation.goals), invocation);
    case 'run':
      return runTasks(await contextOf(meta, project, invocation.goals), invocation);
    case 'verb':
      return verb(await contextOf(meta, project, [], 'device' in invocation ? invocation.device : null), invocation);
  }
}

async function contextOf(
  meta: Meta,
  project: Project,
  goals: readonly Goal[],
  device: string | null = null,
): Promise<Context> {
  return (await import('./context.ts')).openContext(meta, project, goals, device);
}

async function version(): Promise<number> {
  const [{ readFileSync }, { print }] = await Promise.all([import('node:fs'), import('./reporting.ts')]);
  print(
    (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }).version,
  );
  return STATUS.done;
}

async function help({ tasks }: Project, invocation: Extract<Invocation, { kind: 'list' | 'help' }>): Promise<number> {
  const { helpText, listJson, listText, taskHelp } = await import('./help.ts');
  if (invocation.kind === 'list')
    process.stdout.write(invocation.output === 'json' ? `${JSON.stringify(listJson(tasks))}\n` : listText(tasks));
  else {
    const task = tasks.find(({ taskName }) => taskName === invocation.task);
    process.stdout.write(task === undefined ? helpText(tasks) : taskHelp(task));
  }
  return STATUS.done;
}

/** So many that their plan is most of the memory of a run. */
const MANY_TASKS = 2_000;

async function runTasks(context: Context, invocation: Extract<Invocation, { kind: 'run' }>): Promise<number> {
  const { goals, rest, mode, force, explain } = invocation;
  const { planGoals, tellLauncher } = await import('./context.ts');
  if (context.project.tasks.length >= MANY_TASKS) (await import('../host/v8-flags.ts')).keepHeapTight();
  const prepared = planGoals(context, goals, rest);
  const manner = (await import('./reporting.ts')).mannerOf(invocation);
  if (mode.kind === 'plan')
    return (await import('./dry-run.ts')).dryRun(context, prepared, goals, { ...mode, manner, force, explain });
  if (invocation.pages) (await import('./pages.ts')).refuseWrongPages(invocation.pages);
  const options = { ...invocation, manner, said: invocation };
  const status = invocation.watch
    ? await (await import('./watch.ts')).watch(context, prepared, options)
    : await (await import('./perform.ts')).perform(context, prepared, options);
  tellLauncher('performed');
  return status;
}

/** Verbs that plan. */
const PLANS: ReadonlySet<string> = new Set(['apply', 'trace-inputs']);

async function verb(context: Context, invocation: Extract<Invocation, { kind: 'verb' }>): Promise<number> {
  const manner = (await import('./reporting.ts')).mannerOf(invocation);
  if (!PLANS.has(invocation.verb)) (await import('./context.ts')).tellLauncher('planned');
  switch (invocation.verb) {
    case 'apply':
      if (invocation.pages) (await import('./pages.ts')).refuseWrongPages(invocation.pages);
      return (await import('./verbs/apply.ts')).apply(context, invocation.plan, {
        ...invocation,
        manner,
        said: invocation,
        force: false,
      });
    case 'recover':
      return (await import('./verbs/recover.ts')).recover(context, manner);
    case 'history':
      return (await import('./verbs/history.ts')).history(context, manner);
    case 'show':
      if (invocation.pages) return (await import('./pages.ts')).pagesOf(context, invocation.run, invocation.pages);
      return (await import('./verbs/show.ts')).show(context, invocation, manner);
    case 'trace-inputs':
      return (await import('./verbs/trace-inputs.ts')).traceInputs(context, manner, invocation);
    case 'undo':
      return (await import('./verbs/undo.ts')).undo(context, manner, invocation);
    case 'status':
      return (await import('./verbs/status.ts')).status(context, manner, invocation.device);
    case 'doctor':
      return (await import('./verbs/doctor.ts')).doctor(context, manner, invocation.device);
    case 'logs':
      return (await import('./verbs/logs.ts')).logs(context, invocation);
    case 'exec':
      return (await import('./verbs/exec.ts')).exec(context, invocation);
    case 'shell':
      return (await import('./verbs/shell.ts')).shell(context, invocation);
    case 'audit':
      return (await import('./verbs/audit.ts')).audit(context, manner, invocation.device);
    case 'completion':
      return (await import('./verbs/completion.ts')).completion(context.project, invocation.shell);
    case 'config':
      return (await import('./verbs/config.ts')).config(context, manner);
    case 'uninstall':
      return (await import('./verbs/uninstall.ts')).uninstall(context, invocation);
    case 'rehearsal':
      return (await import('./verbs/rehearsal.ts')).stopRehearsal(context);
  }
}
