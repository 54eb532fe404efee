/** What the engine itself costs: µs per in-process task, in three shapes of graph. Run: `node --import tsx bench/engine.ts [tasks]`. */
import { CancelSource } from '../lib/engine/cancel.ts';
import { ALWAYS_RUN } from '../lib/engine/freshness.ts';
import { makePlan } from '../lib/engine/graph.ts';
import { isJournaled } from '../lib/engine/journal.ts';
import { runPlan } from '../lib/engine/run.ts';
import { sha256 } from '../lib/host/hash.ts';
import type { RunEvent } from '../lib/model/event.ts';
import type { Clock, LivePerformer } from '../lib/model/ports.ts';
import { task, type Need, type Needs } from '../lib/model/task.ts';

const TASKS = Number(process.argv[2] ?? 10_000);
const ROUNDS = 7;

const answered = Promise.resolve({ ok: true, fact: { known: true, value: null } } as const);
const performer: LivePerformer = {
  explores: false,
  perform: () => answered,
  enter: () => Promise.resolve({ ok: true, entered: { value: '', leave: () => Promise.resolve() } }),
  serviceEnded: () => new Promise(() => undefined),
};
const clock: Clock = { nowMs: () => performance.now(), sleep: () => Promise.resolve() };

/** Needs of the task at an index, by index; each is smaller. */
type Shape = (at: number) => readonly number[];

const random = (at: number): readonly number[] =>
  [7919, 104_729, 1_299_709].map((prime) => (at * prime + 13) % Math.max(1, at)).filter((need) => need < at);
const shapes: { readonly [name: string]: Shape } = {
  chain: (at) => (at === 0 ? [] : [at - 1]),
  fan: (at) => (at === 0 || at === TASKS - 1 ? [] : [0]),
  random,
};

function goalsOf(shape: Shape): readonly Need[] {
  const needs: Need[] = [];
  for (let at = 0; at < TASKS; at++) {
    const own: Needs = Object.fromEntries(shape(at).map((need) => [`n${String(need)}`, needs[need] as Need]));
    needs.push(
      task(`t-${String(at)}`, { summary: 'a task', needs: own, steps: (p) => p.run(['true'], { effect: 'reads' }) })(),
    );
  }
  return needs;
}

async function round(
  shape: Shape,
): Promise<{ readonly declareUs: number; readonly planUs: number; readonly runUs: number }> {
  const journal: RunEvent[] = [];
  const startMs = performance.now();
  const goals = goalsOf(shape);
  const declaredMs = performance.now();
  const { plan } = makePlan(goals, sha256);
  const plannedMs = performance.now();
  const status = await runPlan(plan, {
    run: 'bench',
    performer,
    clock,
    cancel: new CancelSource(),
    capacity: { jobs: 8, memoryMb: 1000, cpu: 8 },
    keepGoing: false,
    freshness: ALWAYS_RUN,
    force: false,
    emit: (event) => void (isJournaled(event) && journal.push(event)),
    line: (step) => step.id,
  });
  if (status !== 0 || journal.length !== 4 * TASKS + 1)
    throw new Error(`status ${String(status)}, ${String(journal.length)} lines`);
  const perTask = (fromMs: number, toMs: number): number => ((toMs - fromMs) * 1000) / TASKS;
  return {
    declareUs: perTask(startMs, declaredMs),
    planUs: perTask(declaredMs, plannedMs),
    runUs: perTask(plannedMs, performance.now()),
  };
}

const cold = await round(random);
console.log(`cold     µs per task: plan ${cold.planUs.toFixed(1)}  run ${cold.runUs.toFixed(1)}`);
for (const shape of Object.values(shapes)) await round(shape);
for (const [name, shape] of Object.entries(shapes)) {
  const rounds: Awaited<ReturnType<typeof round>>[] = [];
  for (let count = 0; count < ROUNDS; count++) rounds.push(await round(shape));
  const show = (of: (one: Awaited<ReturnType<typeof round>>) => number): string => {
    const all = rounds.map(of).sort((a, b) => a - b);
    return `${(all[ROUNDS >> 1] as number).toFixed(1)} (${(all[0] as number).toFixed(1)} to ${(all[ROUNDS - 1] as number).toFixed(1)})`;
  };
  console.log(
    `${name.padEnd(8)} µs per task, median (range): declare ${show((one) => one.declareUs)}  plan ${show((one) => one.planUs)}  run ${show((one) => one.runUs)}  plan + run ${show((one) => one.planUs + one.runUs)}`,
  );
}
