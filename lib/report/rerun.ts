import type { Plan } from '../model/plan.ts';
import { quoteWord } from './quote.ts';
import type { Around } from './reporter.ts';

/** What the plan shows of a secret param. */
const HIDDEN = '***';

/** The command line that runs one node of the plan again. */
export function rerun(id: string, plan: Plan, around: Around): string {
  const node = plan.nodes.find((one) => one.id === id);
  const flags = Object.entries(node?.params ?? {}).flatMap(([name, value]) =>
    // The id names the params that are not at their defaults.
    new RegExp(`[(,]${name}=`).test(id) ? [flagOf(name, value)] : [],
  );
  // What followed -- was for the one task that was asked for.
  const more = plan.goals.includes(id) && around.rest.length > 0 ? ['--', ...around.rest.map(quoteWord)] : [];
  return commandLine(around.program(), node?.task ?? id.replace(/\(.*$/, ''), [...flags, ...more]);
}

/** The command line of a task, to be pasted; `words` are quoted already. */
export function commandLine(program: string, task: string, words: readonly string[]): string {
  const through = program.startsWith('npm ') && words.length > 0 ? ['--'] : [];
  return [program, quoteWord(task), ...through, ...words].join(' ');
}

function flagOf(param: string, value: unknown): string {
  const flag = `--${param.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  if (value === true) return flag;
  const text = value === HIDDEN ? '‹secret›' : String(value);
  return text.startsWith('-') ? `${flag}=${quoteWord(text)}` : `${flag} ${quoteWord(text)}`;
}
