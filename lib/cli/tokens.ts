import { UsageError } from '../model/failure.ts';
import type { Param } from '../model/param.ts';
import type { AnyTask } from '../model/task.ts';
import { FLAGS, VERBS, flagNamed, typedName, type Flag, type VerbUsage } from './flags.ts';
import { unknownFlag, unknownOption } from './mistakes.ts';

/** A command line taken apart: nothing is parsed yet, every value is still the text that was typed. */
export interface Tokens {
  /** Tasks, or a verb and its arguments. */
  readonly words: readonly string[];
  /** Flags of ours by name; `true` where no value belongs. */
  readonly flags: ReadonlyMap<string, string | true>;
  /** Params by their typed name (`max-age`). */
  readonly params: ReadonlyMap<string, string | true>;
  /** What follows `--`; `null` without one. */
  readonly rest: readonly string[] | null;
}

type Takes = 'value' | 'nothing' | 'number';

interface Reading {
  readonly args: readonly string[];
  readonly tasks: readonly AnyTask[];
  /** Tasks whose names occur among the arguments: those that were probably meant. */
  readonly named: readonly AnyTask[];
  /** The verb that was typed: its own flags come before ours. */
  readonly verb: VerbUsage | null;
  next: number;
  readonly words: string[];
  readonly flags: Map<string, string | true>;
  readonly params: Map<string, string | true>;
}

/** Takes a command line apart by the declared params, so that no parser ever guesses at a value's type. */
export function tokenize(argv: readonly string[], tasks: readonly AnyTask[]): Tokens {
  const end = argv.indexOf('--');
  const args = end === -1 ? argv : argv.slice(0, end);
  const named = tasks.filter((task) => args.includes(task.taskName));
  const verb = verbAmong(args, tasks);
  const reading: Reading = { args, tasks, named, verb, next: 0, words: [], flags: new Map(), params: new Map() };
  for (let arg = args[reading.next++]; arg !== undefined; arg = args[reading.next++]) {
    if (arg.startsWith('--')) readLong(reading, arg);
    else if (arg.startsWith('-') && arg !== '-') readShort(reading, arg);
    else reading.words.push(arg);
  }
  return {
    words: reading.words,
    flags: reading.flags,
    params: reading.params,
    rest: end === -1 ? null : argv.slice(end + 1),
  };
}

/** The verb: the first word, or, behind a flag's value, a word that is one where no task was named. */
function verbAmong(args: readonly string[], tasks: readonly AnyTask[]): VerbUsage | null {
  const first = args.find((arg) => !arg.startsWith('-'));
  const candidates = tasks.some(({ taskName }) => taskName === first) ? [] : args;
  const word = [first, ...candidates].find((arg) => VERBS.some(({ name }) => name === arg));
  return VERBS.find(({ name }) => name === word) ?? null;
}

const unknownHere = ({ verb, named, tasks }: Reading, option: string): UsageError =>
  verb?.own === undefined ? unknownOption(option, named, tasks) : unknownFlag(verb, option);

function readLong(reading: Reading, arg: string): void {
  const [name, given] = cut(arg.slice(2));
  const flag = reading.verb?.own?.find((own) => own.name === name) ?? flagNamed(name);
  if (flag !== undefined)
    return void keep(
      reading.flags,
      name,
      flag.choices === undefined
        ? valueOf(reading, name, flag.value === undefined ? 'nothing' : 'value', given, flag.value)
        : choiceOf(reading, flag.choices, given),
    );
  const typed = typedName(name);
  const takes = arity(reading, typed);
  if (takes === null) throw unknownHere(reading, `--${name}`);
  // A switch may be told its value: `--fast=false`.
  keep(
    reading.params,
    typed,
    takes === 'nothing' && given !== undefined ? given : valueOf(reading, typed, takes, given),
  );
}

/** Letters may stand together (`-nk`); the rest after one that takes a value is that value (`-j4`). */
function readShort(reading: Reading, arg: string): void {
  for (let at = 1; at < arg.length; at++) {
    const flags: readonly Flag[] = [...(reading.verb?.own ?? []), ...FLAGS];
    const flag = flags.find(({ short }) => short === arg[at]);
    if (flag === undefined) throw unknownHere(reading, at === 1 ? arg : `-${arg[at] ?? ''}`);
    if (flag.value === undefined) {
      keep(reading.flags, flag.name, true);
      continue;
    }
    const rest = arg.slice(at + 1).replace(/^=/, '');
    return void keep(
      reading.flags,
      flag.name,
      valueOf(reading, flag.name, 'value', rest === '' ? undefined : rest, flag.value),
    );
  }
}

function valueOf(
  reading: Reading,
  name: string,
  takes: Takes,
  given: string | undefined,
  what = 'VALUE',
): string | true {
  if (takes === 'nothing') {
    if (given !== undefined) throw new UsageError(`--${name} takes no value`, `type --${name} alone`);
    return true;
  }
  if (given !== undefined) return given;
  const next = reading.args[reading.next];
  const isValue =
    next !== undefined && (next === '-' || !next.startsWith('-') || (takes === 'number' && /^-\d/.test(next)));
  if (!isValue)
    throw new UsageError(
      `--${name} needs a value`,
      `type --${name} ${what}; one that begins with - needs =, as in --${name}=-x`,
    );
  reading.next++;
  return next;
}

/** One of some values, if one follows; alone it means the first. */
function choiceOf(reading: Reading, choices: readonly string[], given: string | undefined): string {
  const next = reading.args[reading.next] ?? '';
  if (given === undefined && choices.includes(next)) reading.next++;
  return given ?? (choices.includes(next) ? next : (choices[0] ?? ''));
}

function keep(into: Map<string, string | true>, name: string, value: string | true): void {
  if (into.has(name))
    throw new UsageError(`--${name} is there twice`, 'once is enough; it counts for every task that has it');
  into.set(name, value);
}

/** Whether a param takes a value: where tasks differ, those that were named decide. `null`: no task has it. */
function arity({ named, tasks }: Reading, typed: string): Takes | null {
  const [all, ours] = [tasks, named].map((some) => new Set(some.flatMap((task) => paramsOf(task, typed)).map(takesOf)));
  const kinds = all?.size === 1 ? all : (ours ?? new Set());
  if (kinds.size > 1)
    throw new UsageError(
      `--${typed} means different things for the tasks that were named`,
      'run them one after the other',
    );
  return [...kinds][0] ?? (all?.size === 0 ? null : 'value');
}

const takesOf = (param: Param): Takes =>
  param.type === 'flag' ? 'nothing' : param.type === 'number' ? 'number' : 'value';

const paramsOf = (task: AnyTask, typed: string): Param[] =>
  Object.entries(task.spec.params ?? {}).flatMap(([name, param]) => (typedName(name) === typed ? [param] : []));

function cut(text: string): [string, string | undefined] {
  const at = text.indexOf('=');
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
