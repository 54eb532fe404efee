import type { Plan } from '../../model/plan.ts';
import { itemsIn } from '../../model/step.ts';
import { undoLines } from '../line.ts';
import { duration } from '../outcome.ts';
import { worded } from './evidence.ts';
import { code, table } from './markdown.ts';
import type { Spot } from './walk.ts';

type StepSpot = Extract<Spot, { readonly what: 'step' }>;

/** What happens by itself, and the failure table: how it is seen, what is done about it, and what puts back. */
export function failureTable(plan: Plan, spots: readonly Spot[]): readonly string[] {
  const steps = spots.filter((spot) => spot.what === 'step');
  const numbers = new Map(steps.map(({ step, number }) => [step.id, number]));
  const rows = [
    ...grouped(spots.flatMap((spot) => rowOf(spot, numbers) ?? [])),
    ...switchRows(plan, steps, numbers),
    ...ALWAYS,
  ];
  return [
    'A step that fails ends its task: what the task changed is put back by itself, the latest first, and the run ends with',
    'status 1. Read the failure, look at `status`, put the cause right, and run it again. Tasks that were done stay done.',
    '',
    ...table(
      ['Detection', 'Response', 'Rollback'],
      rows.map(({ seen, response, back }) => [seen, response, back]),
    ),
  ];
}

interface Row {
  readonly seen: string;
  readonly response: string;
  readonly back: string;
  /** The step that fails. */
  readonly number?: number;
}

type Numbers = ReadonlyMap<string, number>;

const BY_ITSELF = 'by itself; status 1';

function rowOf(spot: Spot, numbers: Numbers): Row | null {
  const back = rollbackOf(spot, numbers);
  const response = spot.guard === null ? BY_ITSELF : 'by itself; then what the plan has instead, and the run goes on';
  if (spot.what === 'require')
    return {
      seen: `refused: ${code(worded(spot.item.refusal))}`,
      response: 'put that right, run it again; status 3',
      back,
    };
  if (spot.what === 'wait')
    return { seen: `not within ${duration(spot.item.timeoutMs)}: ${code(spot.item.summary)}`, response, back };
  // Nobody depends on what is told.
  return spot.step.effect === 'tells' ? null : { seen: '', response, back, number: spot.number };
}

/** Steps in a row of which the same is to be said share one line. */
function grouped(rows: readonly Row[]): readonly Row[] {
  const groups: (Row & { numbers: number[] })[] = [];
  for (const row of rows) {
    const last = groups.at(-1);
    if (row.number === undefined) groups.push({ ...row, numbers: [] });
    else if (last && last.numbers.length > 0 && last.back === row.back && last.response === row.response)
      last.numbers.push(row.number);
    else groups.push({ ...row, numbers: [row.number] });
  }
  return groups.map((row) => (row.numbers.length === 0 ? row : { ...row, seen: `${listed(row.numbers)} fails` }));
}

function listed(numbers: readonly number[]): string {
  const [first, last] = [numbers[0], numbers.at(-1)];
  if (numbers.length <= 2) return `step ${numbers.join(' or ')}`;
  return `one of steps ${String(first)} to ${String(last)}`;
}

/** `12 to 9, 7`: numbers that fall by one are a range. */
function ranges(numbers: readonly number[]): string {
  const found: number[][] = [];
  for (const one of numbers) {
    const last = found.at(-1);
    if (last && (last.at(-1) ?? 0) - one === 1) last.push(one);
    else found.push([one]);
  }
  return found
    .map((range) => (range.length < 3 ? range.join(', ') : `${String(range[0])} to ${String(range.at(-1))}`))
    .join(', ');
}

/** The latest change is spelt out; those before it stand in rows further up. */
function rollbackOf({ back }: Spot, numbers: Numbers): string {
  const [latest, ...before] = back;
  if (latest === undefined) return 'nothing was changed';
  const lines = undoLines(latest).map((line) => `↩ ${code(line)}`);
  const steps = before.flatMap((one) => [...itemsIn(one.do)].flatMap(({ id }) => numbers.get(id) ?? []));
  const rest = steps.length === 0 ? [] : [`then ${steps.length === 1 ? 'step' : 'steps'} ${ranges(steps)}, as above`];
  return [...lines, ...rest].join('<br>');
}

/** Between arming and confirmation the device acts by itself; what was confirmed stays. */
function switchRows(plan: Plan, steps: readonly StepSpot[], numbers: Numbers): readonly Row[] {
  const items = plan.nodes.flatMap(({ body }) => [...itemsIn(body)]);
  return items.flatMap((item) => {
    if (item.type !== 'within' || item.scope.kind !== 'deadMan') return [];
    const inside = [...itemsIn(item.body)].flatMap(({ id }) => numbers.get(id) ?? []);
    const [first, last] = [inside[0], inside.at(-1)];
    if (first === undefined || last === undefined) return [];
    const { place, leaseMs } = item.scope;
    const span = `steps ${String(first)} to ${String(last)}`;
    const alone: Row = {
      seen: `during ${span} ${place} hears nothing from here for ${duration(leaseMs)}, or boots`,
      response: `nothing to do: ${code(`status --device ${place}`)} says what became of it`,
      back: `${place} itself puts back what ${span} changed, the latest first`,
    };
    const after: Row = {
      seen: `after step ${String(last)} something fails`,
      response: '`recover`, or run it again',
      back: `what ${span} changed stays: it is confirmed`,
    };
    return steps.some(({ number }) => number > last) ? [alone, after] : [alone];
  });
}

/** What holds for every run. */
const ALWAYS: readonly Row[] = [
  {
    seen: 'Ctrl-C, or the terminal closes',
    response: 'wait: no second Ctrl-C stops the way back; status 130 or 129',
    back: 'as if the step under way had failed',
  },
  {
    seen: 'the runner is killed, or this machine loses power',
    response: '`recover`',
    back: 'puts back what is open, or finishes what was confirmed',
  },
  {
    seen: '`NOT PUT BACK` is printed (status 4)',
    response: 'look at `status` and at what is named, then `recover`',
    back: 'what is named is still to be put back',
  },
];
