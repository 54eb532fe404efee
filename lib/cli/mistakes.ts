import { UsageError } from '../model/failure.ts';
import type { AnyTask } from '../model/task.ts';
import { FLAGS, VERBS, flagNamed, typedName, usageOf, type VerbUsage } from './flags.ts';
import { didYouMean, nearest } from './suggest.ts';

/** A word that is neither a task nor a verb. */
export function unknownTask(word: string, tasks: readonly AnyTask[]): UsageError {
  const names = [
    ...tasks.filter(({ spec }) => spec.hidden !== true).map(({ taskName }) => taskName),
    ...VERBS.map(({ name }) => name),
  ];
  return new UsageError(
    `no task or verb is called ${word}`,
    flagNamed(word) ? `did you mean --${word}?` : didYouMean(word, names, '--list shows the tasks, --help the verbs'),
  );
}

/** A flag or param that nothing takes: it may belong to a task that was not named. */
export function unknownOption(option: string, named: readonly AnyTask[], tasks: readonly AnyTask[]): UsageError {
  const owners = tasks.filter((task) => paramNames(task).includes(option.replace(/^--/, '')));
  const subject = named.length === 0 ? 'slipway' : listed(named.map(({ taskName }) => taskName));
  const message = `${subject} ${named.length > 1 ? 'have' : 'has'} no param or flag ${option}`;
  if (owners.length > 0)
    return new UsageError(
      message,
      `${option} is a param of ${listed(owners.map(({ taskName }) => taskName))}: name that task, too`,
    );
  const near = [
    ...FLAGS.map(({ name }) => `--${name}`),
    ...(named.length > 0 ? named : tasks).flatMap(paramNames).map((name) => `--${name}`),
  ];
  return new UsageError(message, didYouMean(option, near, helpFor(named)));
}

/** A flag that a verb does not have: what follows `exec` belongs behind `--`. */
export function unknownFlag(verb: VerbUsage, option: string): UsageError {
  const own = [...(verb.own ?? []).map(({ name }) => name), ...verb.flags];
  return new UsageError(
    `${verb.name} has no flag ${option}`,
    didYouMean(
      option,
      own.map((name) => `--${name}`),
      verb.rest === undefined ? `type ${usageOf(verb)}` : behindDashes(verb),
    ),
  );
}

/** npm takes the first `--` for itself, so through it a command needs two. */
export const behindDashes = ({ name, rest = '' }: VerbUsage): string =>
  `the command stands behind --: type ${name} -- ${rest} (through npm: npm run task -- ${name} -- ${rest})`;

/** A value that its declared type refuses. */
export function wrongValue(
  task: string,
  name: string,
  given: string,
  expected: string,
  choices: readonly string[],
): UsageError {
  const near = nearest(given, choices);
  return new UsageError(
    `--${name} of ${task} must be ${expected}, not ${given === '' ? 'empty' : given}`,
    near === null ? `--help ${task} shows its params` : `did you mean ${near}?`,
  );
}

const helpFor = (named: readonly AnyTask[]): string =>
  named[0] === undefined ? '--help shows the flags' : `--help ${named[0].taskName} shows its params`;

const paramNames = (task: AnyTask): string[] => Object.keys(task.spec.params ?? {}).map(typedName);

/** `a`, `a and b`, `a, b and c`. */
export function listed(names: readonly string[]): string {
  const last = names.at(-1) ?? '';
  return names.length < 2 ? last : `${names.slice(0, -1).join(', ')} and ${last}`;
}
