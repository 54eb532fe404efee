import { UsageError } from '../model/failure.ts';
import type { AnyTask } from '../model/task.ts';
import { quoteWord } from '../report/quote.ts';
import { FLAGS, VERBS, typedName, type VerbUsage } from './flags.ts';
import { npmVariables } from './npm-config-names.ts';

/** What npm made of flags that were typed without `--`. */
export type NpmFlags =
  | { readonly kind: 'none' }
  /** `--dry-run` went to npm: nothing may be performed, and `notice` says so. `argv` is the command line that was meant. */
  | { readonly kind: 'plan-only'; readonly notice: string; readonly argv: readonly string[] }
  /** Another flag went to npm: the command that was meant is another one. */
  | { readonly kind: 'swallowed'; readonly error: UsageError };

export type Environment = { readonly [name: string]: string | undefined };

/** npm's commands that run a script (`run` since npm 11, `run-script` before). Other runners pass flags on. */
const RUNS_A_SCRIPT = new Set(['run', 'run-script', 'test', 'start', 'stop', 'restart']);

interface Option {
  readonly typed: string;
  readonly takesValue: boolean;
  readonly secret: boolean;
  /** Variables that npm sets for its letter. */
  readonly others?: readonly string[];
}

interface Swallowed extends Option {
  readonly value: string;
}

/**
 * Finds out from the environment which of our flags npm took for itself (`npm run task deploy --dry-run`). `-n`, `-k`,
 * `--yes`, `--no-color`, `--help` and `--version` leave nothing that could be told from an .npmrc: `--help` says so.
 */
export function npmFlags(env: Environment, argv: readonly string[], tasks: readonly AnyTask[]): NpmFlags {
  if (!RUNS_A_SCRIPT.has(env['npm_command'] ?? '') || env['npm_lifecycle_event'] === undefined) return { kind: 'none' };
  const end = argv.indexOf('--');
  const given = end === -1 ? argv : argv.slice(0, end);
  const claimed = new Set<string>();
  const verb = VERBS.find(({ name, own }) => own !== undefined && name === given[0]);
  const options = verb === undefined ? optionsOf(tasks, given) : optionsOfVerb(verb);
  const swallowed = options.flatMap((option) => taken(option, env, given, claimed));
  const [first] = swallowed.filter(({ typed }) => typed !== 'dry-run');
  const line = lineToType(env['npm_lifecycle_event'], given, end === -1 ? [] : argv.slice(end + 1), swallowed, tasks);
  if (first !== undefined) {
    return { kind: 'swallowed', error: new UsageError(`npm took --${first.typed} for itself`, `type ${line}`) };
  }
  return swallowed.length === 0
    ? { kind: 'none' }
    : // In front: behind a `--` it would be an argument of the task.
      {
        kind: 'plan-only',
        notice: `npm took --dry-run for itself: nothing is performed; to pass flags on, type ${line}`,
        argv: ['--dry-run', ...argv],
      };
}

/** Ours first, then the params of the named tasks: where two could have left the same variable, they are the likelier ones. */
function optionsOf(tasks: readonly AnyTask[], given: readonly string[]): readonly Option[] {
  const flags = FLAGS.filter(({ name }) => !['yes', 'no-color', 'help', 'version'].includes(name));
  const ours = flags.map(({ name, value }) => ({ typed: name, takesValue: value !== undefined, secret: false }));
  const named = tasks.filter(({ taskName }) => given.includes(taskName));
  const params = [...named, ...tasks].flatMap(({ spec }) => Object.entries(spec.params ?? {}));
  const theirs = params.map(([name, param]) => ({
    typed: typedName(name),
    takesValue: param.type !== 'flag',
    secret: param.type === 'string' && param.secret === true,
  }));
  return [...new Map([...ours, ...theirs].map((option) => [option.typed, option])).values()];
}

function optionsOfVerb({ own = [], flags }: VerbUsage): readonly Option[] {
  const mine = own.map(({ name, value, short }) => ({
    typed: name,
    takesValue: value !== undefined,
    secret: false,
    // To npm, `-f` is `--force`.
    ...(short === 'f' ? { others: ['npm_config_force'] } : {}),
  }));
  return [...mine, ...flags.map((name) => ({ typed: name, takesValue: false, secret: false }))];
}

function taken(option: Option, env: Environment, given: readonly string[], claimed: Set<string>): Swallowed[] {
  const { typed } = option;
  // Behind `--` it reached us; then npm's setting is another matter.
  if (given.some((arg) => arg === `--${typed}` || arg.startsWith(`--${typed}=`))) return [];
  if (typed === 'jobs') return takenJobs(option, env, given);
  const variable = [...npmVariables(typed), ...(option.others ?? [])].find(
    (name) => counts(option, env[name]) && !claimed.has(name),
  );
  if (variable === undefined) return [];
  claimed.add(variable);
  const value = env[variable] ?? '';
  // `-j 2` arrives as `json`, its number as a word.
  if (typed === 'json' && given.some((arg) => /^\d+$/.test(arg)))
    return [{ ...option, typed: 'jobs', takesValue: true, value: 'true' }];
  return [{ ...option, value }];
}

const counts = ({ takesValue }: Option, value: string | undefined): boolean =>
  value !== undefined && value !== '' && (takesValue || value !== 'false');

/** `-j2` arrives as `j2`; `jobs=max` is a setting of node-gyp, so only what could be our number counts. */
function takenJobs(option: Option, env: Environment, given: readonly string[]): Swallowed[] {
  if (given.some((arg) => /^-[a-z]*j/.test(arg))) return [];
  const short = Object.keys(env).find((name) => /^npm_config_j\d+$/.test(name) && env[name] !== '');
  const value = short?.slice('npm_config_j'.length) ?? env['npm_config_jobs'] ?? '';
  return /^(true|\d+)$/.test(value) ? [{ ...option, value }] : [];
}

/** The same command with `--`; a value that its option lost stands among the words. */
function lineToType(
  script: string,
  given: readonly string[],
  rest: readonly string[],
  swallowed: readonly Swallowed[],
  tasks: readonly AnyTask[],
): string {
  const { words, values } = lostValues(given, swallowed, tasks);
  const options = swallowed.flatMap((option) => {
    const { typed, takesValue, secret, value } = option;
    if (!takesValue) return [`--${typed}`];
    if (value !== 'true') return [`--${typed}`, secret ? 'VALUE' : value];
    const found = values.get(option);
    return found === undefined && choicesOf(option) !== undefined ? [`--${typed}`] : [`--${typed}`, found ?? 'VALUE'];
  });
  const tail = rest.length === 0 ? [] : ['--', ...rest];
  return ['npm', 'run', script, '--', ...words, ...options, ...tail].map(quoteWord).join(' ');
}

/** An option with choices means something without a value, too. */
const choicesOf = ({ typed }: Option): readonly string[] | undefined =>
  FLAGS.find(({ name }) => name === typed)?.choices;

/**
 * npm leaves the value of an option that it does not know where it was typed: among the words that were meant as words.
 * Returns these, and the values as far as it can be known whose they are.
 */
function lostValues(
  given: readonly string[],
  swallowed: readonly Swallowed[],
  tasks: readonly AnyTask[],
): { readonly words: readonly string[]; readonly values: ReadonlyMap<Option, string> } {
  const strays = straysIn(given, tasks);
  const taken = new Set<number>();
  const values = new Map<Option, string>();
  const take = (option: Option, fits: (word: string) => boolean): void => {
    const at = strays.find((index) => !taken.has(index) && fits(given[index] ?? ''));
    if (at === undefined) return;
    taken.add(at);
    values.set(option, given[at] ?? '');
  };
  const lost = swallowed.filter(({ takesValue, value }) => takesValue && value === 'true');
  for (const option of lost) {
    if (option.typed === 'jobs') take(option, (word) => /^\d+$/.test(word));
    else take(option, (word) => choicesOf(option)?.includes(word) === true);
  }
  const others = lost.filter((option) => option.typed !== 'jobs' && choicesOf(option) === undefined);
  const left = strays.filter((index) => !taken.has(index));
  const [other] = others;
  // Of several nobody knows which is whose.
  if (other !== undefined && others.length === 1 && left.length === 1) take(other, () => true);
  else if (left.length <= others.length) for (const index of left) taken.add(index);
  return { words: given.filter((_, index) => !taken.has(index)), values };
}

/** Where words stand that name nothing of ours; behind a verb those that are more than it takes. */
function straysIn(given: readonly string[], tasks: readonly AnyTask[]): readonly number[] {
  const words = [...given.keys()].filter((index) => given[index]?.startsWith('-') === false);
  const verb = VERBS.find(({ name }) => name === given[0]);
  if (verb !== undefined) return words.slice(1 + verb.args.length);
  const names = new Set(tasks.map(({ taskName }) => taskName));
  return words.filter((index) => !names.has(given[index] ?? ''));
}
