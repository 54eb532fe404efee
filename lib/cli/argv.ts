import { UsageError } from '../model/failure.ts';
import type { AnyTask } from '../model/task.ts';
import { FLAGS, GRAPH_FORMATS, VERBS, typedName, type VerbUsage } from './flags.ts';
import type { Invocation, Layout, Mode, Pages } from './invocation.ts';
import { unknownTask } from './mistakes.ts';
import { didYouMean } from './suggest.ts';
import { tokenize, type Tokens } from './tokens.ts';

/** Flags after cac: camelCase names; a value is still its text. */
interface Options {
  readonly dryRun?: true;
  readonly connected?: true;
  readonly out?: string;
  readonly runbook?: true;
  readonly graph?: string;
  readonly report?: string;
  readonly profile?: string;
  readonly jobs?: string;
  readonly keepGoing?: true;
  readonly shuffle?: string;
  readonly force?: true;
  readonly explain?: true;
  readonly watch?: true;
  readonly yes?: true;
  readonly confirm?: string;
  readonly list?: true;
  readonly json?: true;
  readonly output?: string;
  readonly color: boolean;
  readonly help?: true;
  readonly version?: true;
}

/** Most tasks at once that anybody can ask for. */
const MAX_JOBS = 1024;
const MAX_SEED = 2 ** 32 - 1;

/** Parses what follows `tasks.ts` on the command line. Throws a `UsageError` for the first mistake. */
export async function parseArgv(argv: readonly string[], tasks: readonly AnyTask[]): Promise<Invocation> {
  refuseTakenNames(tasks);
  const tokens = tokenize(argv, tasks);
  const { words } = tokens;
  const { verb, options } = await parseFlags(tokens);
  if (options.version) return { kind: 'version' };
  const manner = {
    output: options.json ? 'json' : 'human',
    ...layout(options.output),
    color: options.color,
    yes: options.yes ?? false,
    confirm: options.confirm ?? null,
  } as const;
  if (options.help) return { kind: 'help', task: helpTopic(words, tasks), color: manner.color };
  const pace = { jobs: jobs(options.jobs), keepGoing: options.keepGoing ?? false, ...pages(options) };
  if (verb !== undefined)
    return { kind: 'verb', ...(await import('./verb.ts')).parseVerb(verb, tokens), ...manner, ...pace };
  if (options.list && words.length > 0)
    throw new UsageError('--list takes no task', `--help ${words[0] ?? ''} shows one task`);
  if (options.graph !== undefined) return graph(options, tokens, tasks);
  if (words.length === 0 && tokens.params.size === 0)
    return { kind: 'list', output: manner.output, color: manner.color };
  const { parseGoals, restFor } = await import('./goals.ts');
  const goals = parseGoals(tokens, tasks);
  return {
    kind: 'run',
    goals,
    mode: mode(options),
    watch: options.watch ?? false,
    force: options.force ?? false,
    explain: options.explain ?? false,
    ...(options.shuffle !== undefined && { shuffle: seed(options.shuffle) }),
    rest: restFor(tokens, goals),
    ...manner,
    ...pace,
  };
}

/**
 * Lets cac tell flags and verbs apart. It turns texts that look like numbers into numbers, so it sees a placeholder
 * instead of every value.
 */
async function parseFlags(tokens: Tokens): Promise<{ verb: VerbUsage | undefined; options: Options }> {
  if (tokens.words.length === 0) return { verb: undefined, options: flagsAlone(tokens.flags) };
  const { cac } = await import('cac');
  const cli = cac('slipway');
  for (const flag of FLAGS)
    cli.option(`--${flag.name}${flag.value === undefined ? '' : ` <${flag.value}>`}`, flag.summary);
  for (const { name, args, summary } of VERBS) cli.command([name, ...args.map((arg) => `[${arg}]`)].join(' '), summary);
  const values = [...tokens.flags.values()];
  const flags = [...tokens.flags].map(([name, value], index) =>
    value === true ? `--${name}` : `--${name}=value:${String(index)}`,
  );
  const parsed = cli.parse(['node', 'tasks.ts', ...tokens.words, ...flags], { run: false });
  const options = Object.fromEntries(
    Object.entries(parsed.options).map(([key, value]) => [key, filled(value, values)]),
  );
  return { verb: VERBS.find(({ name }) => name === cli.matchedCommandName), options: { color: true, ...options } };
}

/** Flags without a word beside them: no verb can be meant, and listing or help need not load cac for that. */
function flagsAlone(flags: Tokens['flags']): Options {
  const options = [...flags].map(
    ([name, value]) =>
      (name === 'no-color'
        ? ['color', false]
        : [name.replace(/-./g, (dash) => dash.charAt(1).toUpperCase()), value]) as [string, unknown],
  );
  return { color: true, ...(Object.fromEntries(options) as Partial<Options>) };
}

function filled(value: unknown, values: readonly (string | true)[]): unknown {
  const index = typeof value === 'string' ? /^value:(\d+)$/.exec(value)?.[1] : undefined;
  return index === undefined ? value : values[Number(index)];
}

/** `--connected`, `--out` and `--runbook` ask for a plan as much as `--dry-run` does: none ever performs. */
function mode({ dryRun, connected, out, runbook, json, watch }: Options): Mode {
  if (out === '') throw new UsageError('--out needs a file', 'type --out plan.json');
  if (!dryRun && !connected && !runbook && out === undefined) return { kind: 'perform' };
  if (watch)
    throw new UsageError(
      '--watch performs, and a dry run does not',
      'leave out --watch, or --dry-run, --connected, --out and --runbook',
    );
  if (runbook && json) throw new UsageError('--runbook prints Markdown, and no JSON', 'leave one of both out');
  return { kind: 'plan', connected: connected ?? false, out: out ?? null, ...(runbook ? { runbook } : {}) };
}

async function graph({ graph: asked, json }: Options, tokens: Tokens, tasks: readonly AnyTask[]): Promise<Invocation> {
  const format = json ? 'json' : GRAPH_FORMATS.find((name) => name === asked);
  if (format === undefined)
    throw new UsageError(`--graph has no format ${asked ?? ''}`, `type --graph=${GRAPH_FORMATS.join(' or --graph=')}`);
  const stray = tokens.words.find((word) => tasks.every(({ taskName }) => taskName !== word));
  if (stray !== undefined)
    throw new UsageError(
      `${stray} is no task, and no format of --graph`,
      didYouMean(
        stray,
        [...GRAPH_FORMATS, ...tasks.map(({ taskName }) => taskName)],
        `its formats: ${GRAPH_FORMATS.join(', ')}`,
      ),
    );
  return { kind: 'graph', goals: (await import('./goals.ts')).parseGoals(tokens, tasks), format };
}

/** Nothing is written about what was only planned. */
function pages(options: Options): { readonly pages?: Pages } {
  const { report = null, profile = null } = options;
  const [flag] = Object.entries({ report, profile }).flatMap(([name, file]) => (file === null ? [] : [name]));
  if (flag === undefined) return {};
  if (report === '' || profile === '') throw new UsageError(`--${report === '' ? 'report' : 'profile'} needs a file`);
  if (mode(options).kind === 'plan')
    throw new UsageError(`--${flag} is about a run, and this only plans`, `leave --${flag} or the plan out`);
  return { pages: { report, profile } };
}

function layout(given: string | undefined): { readonly layout?: Layout } {
  if (given === undefined) return {};
  if (given !== 'prefixed' && given !== 'grouped')
    throw new UsageError(`--output must be prefixed or grouped, not ${given}`, 'for programs there is --json');
  return { layout: given };
}

function jobs(given: string | undefined): number | null {
  if (given === undefined) return null;
  const count = /^\d{1,6}$/.test(given) ? Number(given) : 0;
  if (count < 1 || count > MAX_JOBS)
    throw new UsageError(`--jobs must be a whole number from 1 to ${String(MAX_JOBS)}, not ${given}`, 'type -j 4');
  return count;
}

function seed(given: string): number {
  if (given === 'random') return Math.floor(Math.random() * (MAX_SEED + 1));
  if (!/^\d{1,10}$/.test(given) || Number(given) > MAX_SEED)
    throw new UsageError(
      `--shuffle must be a whole number up to ${String(MAX_SEED)}, or random, not ${given}`,
      'type --shuffle random',
    );
  return Number(given);
}

function helpTopic(words: readonly string[], tasks: readonly AnyTask[]): string | null {
  const [word] = words;
  if (word === undefined || VERBS.some(({ name }) => name === word)) return null;
  if (!tasks.some(({ taskName }) => taskName === word)) throw unknownTask(word, tasks);
  return word;
}

/** A task named like a verb or like another could never be reached, nor a param named like a flag. */
function refuseTakenNames(tasks: readonly AnyTask[]): void {
  const names = new Map<string, AnyTask>();
  for (const task of tasks) {
    const { taskName, spec } = task;
    const other = names.get(taskName) ?? task;
    if (other !== task)
      throw new UsageError(
        `two tasks are named ${taskName}: ${other.source} and ${task.source}`,
        'give one of them another name',
      );
    names.set(taskName, task);
    if (VERBS.some(({ name }) => name === taskName))
      throw new UsageError(`a task is called ${taskName}, which is a verb`, `rename it: ${task.source}`);
    const taken = Object.keys(spec.params ?? {}).find((name) => FLAGS.some((flag) => flag.name === typedName(name)));
    if (taken !== undefined)
      throw new UsageError(
        `${taskName} declares a param ${taken}, which is a flag of slipway's own`,
        `rename it: ${task.source}`,
      );
  }
}
