import type { Plan } from '../model/plan.ts';
import { itemsIn } from '../model/step.ts';

/** What was said beforehand: `--confirm NAME`, and `--yes` to everything. */
export interface Said {
  readonly confirm: string | null;
  readonly yes: boolean;
}

/**
 * The names of irreversible steps that may be performed: those given beforehand, and, in a terminal, those that are
 * typed when asked. Without a terminal nothing is asked, and the step itself is refused.
 */
export async function consented(plan: Plan, { confirm, yes }: Said): Promise<ReadonlySet<string>> {
  const given = new Set<string>(confirm === null ? [] : [confirm]);
  const asked = namesIn(plan).filter((name) => !given.has(name));
  if (yes) return new Set([...given, ...asked]);
  if (asked.length === 0 || !process.stdin.isTTY || !process.stderr.isTTY) return given;
  const { createInterface } = await import('node:readline/promises');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    for (const name of asked) {
      const answer = await terminal.question(`this cannot be undone; to go on, type ${name}: `);
      if (answer.trim() === name) given.add(name);
    }
  } finally {
    terminal.close();
  }
  return given;
}

function namesIn(plan: Plan): readonly string[] {
  const names = new Set<string>();
  for (const { body } of plan.nodes) {
    for (const item of itemsIn(body)) if (item.type === 'step' && item.confirm !== undefined) names.add(item.confirm);
  }
  return [...names];
}
