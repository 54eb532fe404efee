import type { Shown } from '../engine/show.ts';
import type { Plan } from '../model/plan.ts';
import { wantsColor } from '../report/colors.ts';
import type { Around, Reporter, Write } from '../report/reporter.ts';
import type { TellOptions } from '../report/tell.ts';
import type { Outcomes } from '../report/outcome.ts';
import type { Invocation, Layout } from './invocation.ts';

/** How answers are given. */
export interface Manner {
  readonly output: 'human' | 'json';
  readonly color: boolean;
  /** As lines, whatever the terminal can do. */
  readonly layout?: Layout;
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
    ...('layout' in invocation && { layout: invocation.layout }),
  };
}

/**
 * The reporter that fits: JSON for programs, a live view in a terminal, lines elsewhere: grouped where GitHub folds them,
 * unless services are kept up, which end with the run.
 */
export async function openReporter(
  manner: Manner,
  plan: Plan,
  around: Around,
  { projectDir, explain }: { readonly projectDir: string; readonly explain: boolean },
): Promise<Reporter> {
  const out = (text: string): void => void process.stdout.write(text);
  // Reasons are lines that stay: a live view would wipe them out.
  const reporter = await reporterFor(explain ? { layout: 'prefixed', ...manner } : manner, plan, around, projectDir);
  return explain ? (await import('../report/checks.ts')).explainingReporter(reporter, out, manner.output) : reporter;
}

async function reporterFor(
  { output, color, layout }: Manner,
  plan: Plan,
  around: Around,
  projectDir: string,
): Promise<Reporter> {
  const out = (text: string): void => void process.stdout.write(text);
  if (output === 'json') return (await import('../report/json.ts')).jsonReporter(out);
  const { wantsWholeTerminal } = await import('../report/outcome.ts');
  const holds = wantsWholeTerminal(plan);
  if (layout === undefined && process.stdout.isTTY && process.env['CI'] === undefined && !holds)
    return (await import('../report/pretty.ts')).prettyReporter(process.stdout, color, plan, around);
  const onGitHub = process.env['GITHUB_ACTIONS'] === 'true';
  const options = { color, plan, around };
  const grouped = (layout ?? (onGitHub && !holds ? 'grouped' : 'prefixed')) === 'grouped';
  if (onGitHub) return gitHubReporter(out, options, grouped, projectDir);
  return grouped
    ? (await import('../report/grouped.ts')).groupedReporter(out, options)
    : (await import('../report/plain.ts')).plainReporter(out, options);
}

async function gitHubReporter(
  out: Write,
  options: TellOptions,
  grouped: boolean,
  projectDir: string,
): Promise<Reporter> {
  const { annotations, foldMarks, harmless } = await import('../report/github.ts');
  const { locateIn } = await import('./around.ts');
  const write: Write = (text) => out(harmless(text));
  const locate = locateIn(projectDir, process.env['GITHUB_WORKSPACE'] ?? projectDir);
  const after = (outcomes: Outcomes): void => out(annotations(outcomes, options.plan, locate));
  return grouped
    ? (await import('../report/grouped.ts')).groupedReporter(write, { ...options, after }, foldMarks(out))
    : (await import('../report/plain.ts')).plainReporter(write, { ...options, after });
}

/** Prints a shown plan, for people or for programs. */
export async function printShown({ output, color }: Manner, plan: Plan, shown: Shown, explain = false): Promise<void> {
  const { shownJson, shownText } = await import('../report/dry-run.ts');
  process.stdout.write(output === 'json' ? shownJson(plan, shown, explain) : shownText(plan, shown, color, explain));
}
