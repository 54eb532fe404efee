import { budgetLines, type Budget } from '../ops/budget.ts';
import type { Check, CheckState } from '../ops/checks.ts';
import { paintWith } from './colors.ts';
import { neutral } from './neutral.ts';

/** What was found out about one device. */
export interface Examined {
  readonly name: string;
  readonly checks: readonly Check[];
  readonly budget: Budget | null;
}

const STYLES = { ok: 'green', warning: 'yellow', problem: 'red' } as const;
const STATE_WIDTH = 'problem'.length;

/** A device's table: each check with what it came to, below it what to do, then the memory budget and a verdict. */
export function examinedLines({ name, checks, budget }: Examined, color: boolean): readonly string[] {
  const paint = paintWith(color);
  const width = Math.max(...checks.map(({ check }) => check.length));
  const indent = ' '.repeat(2 + STATE_WIDTH + 2 + width + 2);
  const state = (one: CheckState): string => paint(STYLES[one], one.padEnd(STATE_WIDTH));
  return [
    name,
    ...checks.flatMap(({ check, state: one, says, next }) => [
      `  ${state(one)}  ${check.padEnd(width)}  ${says
        .split('\n')
        .map((line) => neutral(line, false))
        .join(`\n${indent}`)}`,
      ...(next === '' ? [] : [`${indent}→ ${next}`]),
    ]),
    ...(budget === null ? [] : ['  memory budget', ...budgetLines(budget).map((line) => `    ${line}`)]),
    `  ${verdict(checks)}`,
  ];
}

function verdict(checks: readonly Check[]): string {
  const problems = checks.filter(({ state }) => state === 'problem').map(({ check }) => check);
  return problems.length === 0
    ? 'nothing stands against a deploy'
    : `a deploy would be refused: ${[...new Set(problems)].join(', ')}`;
}
