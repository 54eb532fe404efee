import type { Shown } from '../engine/show.ts';
import type { Plan } from '../model/plan.ts';
import { wantsColor } from '../report/colors.ts';
import type { Reporter, Write } from '../report/reporter.ts';
import type { Invocation } from './invocation.ts';

/** How answers are given. */
export interface Manner {
  readonly output: 'human' | 'json';
  readonly color: boolean;
}

/** One line of an answer, on standard output. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** One line to people beside the answer, on standard error: programs read standard output. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

export function mannerOf(invocation: Invocation): Manner {
  const asked = !('color' in invocation) || invocation.color;
  return {
    output: 'output' in invocation ? invocation.output : 'human',
    color: wantsColor(asked, process.env, process.stdout.isTTY),
  };
}

/** The reporter that fits: JSON for programs, a live view in a terminal, prefixed lines elsewhere. */
export async function openReporter(manner: Manner, plan: Plan, explain = false): Promise<Reporter> {
  const write = (text: string): void => void process.stdout.write(text);
  const reporter = await plainOrLive(manner, plan, write, explain);
  return explain ? (await import('../report/checks.ts')).explainingReporter(reporter, write, manner.output) : reporter;
}

/** Reasons are lines that stay: a live view would wipe them out. */
async function plainOrLive({ output, color }: Manner, plan: Plan, write: Write, lines: boolean): Promise<Reporter> {
  if (output === 'json') return (await import('../report/json.ts')).jsonReporter(write);
  const { wantsWholeTerminal } = await import('../report/outcome.ts');
  if (process.stdout.isTTY && process.env['CI'] === undefined && !lines && !wantsWholeTerminal(plan))
    return (await import('../report/pretty.ts')).prettyReporter(process.stdout, color, plan);
  return (await import('../report/plain.ts')).plainReporter(write, color, plan);
}

/** Prints a shown plan, for people or for programs. */
export async function printShown({ output, color }: Manner, plan: Plan, shown: Shown, explain = false): Promise<void> {
  const { shownJson, shownText } = await import('../report/dry-run.ts');
  process.stdout.write(output === 'json' ? shownJson(plan, shown, explain) : shownText(plan, shown, color, explain));
}
