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
  for (const name of asked) if (await typed(name)) given.add(name);
  return given;
}

/** Whether one irreversible thing outside any plan may be done: its name was given, or is typed when asked. */
export async function confirmed(name: string, { confirm, yes }: Said): Promise<boolean> {
  return yes || confirm === name || (await typed(name));
}

async function typed(name: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return false;
  const { createInterface } = await import('node:readline/promises');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await terminal.question(`this cannot be undone; to go on, type ${name}: `)).trim() === name;
  } finally {
    terminal.close();
  }
}

function namesIn(plan: Plan): readonly string[] {
  const names = new Set<string>();
  for (const { body } of plan.nodes) {
    for (const item of itemsIn(body)) if (item.type === 'step' && item.confirm !== undefined) names.add(item.confirm);
  }
  return [...names];
}
