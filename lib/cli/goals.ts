import { UsageError } from '../model/failure.ts';
import { parseParam, type Param } from '../model/param.ts';
import type { AnyTask } from '../model/task.ts';
import { VERBS, typedName } from './flags.ts';
import type { Goal } from './invocation.ts';
import { listed, unknownOption, unknownTask, wrongValue } from './mistakes.ts';
import type { Tokens } from './tokens.ts';

/** The tasks that were named, each with those of the given params that it has. */
export function parseGoals(tokens: Tokens, tasks: readonly AnyTask[]): readonly Goal[] {
  const named = [...new Set(tokens.words)].map((word) => {
    const task = tasks.find(({ taskName }) => taskName === word);
    if (task === undefined)
      throw VERBS.some(({ name }) => name === word)
        ? new UsageError(`${word} is a verb, not a task`, `type it alone: ${word}`)
        : unknownTask(word, tasks);
    return task;
  });
  for (const typed of tokens.params.keys()) {
    const has = named.some((task) => Object.keys(task.spec.params ?? {}).some((name) => typedName(name) === typed));
    if (!has) throw unknownOption(`--${typed}`, named, tasks);
  }
  return named.map((task) => parseGoal(task, tokens.params));
}

function parseGoal({ taskName, spec }: AnyTask, given: Tokens['params']): Goal {
  const declared = Object.entries(spec.params ?? {});
  const missing = declared.filter(
    ([name, param]) => !('default' in param) && param.type !== 'device' && !given.has(typedName(name)),
  );
  if (missing.length > 0) {
    const typed = missing.map(([name]) => `--${typedName(name)}`);
    throw new UsageError(
      `${taskName} needs ${listed(typed)}`,
      `type ${taskName} ${typed.map((flag) => `${flag} VALUE`).join(' ')}`,
    );
  }
  const params = declared.flatMap(([name, param]) => {
    const value = given.get(typedName(name));
    return value === undefined ? [] : [[name, parsed(taskName, typedName(name), param, value)] as const];
  });
  return { task: taskName, params: Object.fromEntries(params) };
}

function parsed(task: string, name: string, param: Param, given: string | true): string | number | boolean {
  if (given === true) return true;
  const result = parseParam(param, given);
  if (!result.ok) throw wrongValue(task, name, given, result.expected, param.type === 'choice' ? param.choices : []);
  return result.value;
}

/** What follows `--` is for one task: with several it would be anybody's guess whose it is. */
export function restFor({ rest: given }: Tokens, goals: readonly Goal[]): readonly string[] {
  if (given === null || given.length === 0) return [];
  if (goals.length > 1)
    throw new UsageError(
      `what follows -- is for one task, not for ${listed(goals.map(({ task }) => task))}`,
      'run them one after the other',
    );
  return given;
}
