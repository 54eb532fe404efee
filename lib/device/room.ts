import { textOf, type Json } from '../model/json.ts';
import { check, s, type Infer } from '../model/schema.ts';
import { budgetLines, memoryBudget, type Budget } from '../ops/budget.ts';
import type { Answer } from './answer.ts';

const asked = s.object({ reservedMb: s.number });
/** The services as the device would run them: a web server in front of them is one more. */
const answered = s.object({
  services: s.list(s.object({ name: s.string, memoryMb: s.number })),
  memoryMb: s.number,
  short: s.string,
});

/** The memory budget that a question for room and its answer are about; `null` when they hold none. */
export function budgetOf(args: { readonly [name: string]: Json }, value: Json): Budget | null {
  const [question, answer] = [check(asked, args), check(answered, value)];
  if (!question.fits || !answer.fits) return null;
  const { reservedMb } = question.value as Infer<typeof asked>;
  const { services, memoryMb } = answer.value as unknown as Infer<typeof answered>;
  return memoryBudget(services, reservedMb, memoryMb);
}

/** The agent's answer, the budget laid open in `short` when memory is what does not suffice. */
export function withBudget(args: { readonly [name: string]: Json }, answer: Answer): Answer {
  const budget = answer.ok ? budgetOf(args, answer.value) : null;
  if (!answer.ok || budget === null || budget.headroomMb >= 0) return answer;
  const value = answer.value as { readonly [name: string]: Json };
  const table = budgetLines(budget).map((line) => `\n    ${line}`);
  return { ok: true, value: { ...value, short: `${textOf(value['short'] ?? '')}${table.join('')}` } };
}
