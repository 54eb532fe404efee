/** One run of 400 tasks of 10 ms each, eight at a time, told by one reporter; prints what it took as JSON to the file that it is given. */
import { writeFileSync } from 'node:fs';
import { CancelSource } from '../lib/engine/cancel.ts';
import { ALWAYS_RUN } from '../lib/engine/freshness.ts';
import { makePlan } from '../lib/engine/graph.ts';
import { runPlan } from '../lib/engine/run.ts';
import { clock } from '../lib/host/clock.ts';
import { sha256 } from '../lib/host/hash.ts';
import type { LivePerformer } from '../lib/model/ports.ts';
import { task } from '../lib/model/task.ts';
import { plainReporter } from '../lib/report/plain.ts';
import { prettyReporter } from '../lib/report/pretty.ts';

const [TASKS, TASK_MS, JOBS, LINES] = [400, 10, 8, 5];

const [view, into = ''] = process.argv.slice(2);
const goals = Array.from({ length: TASKS }, (_, at) =>
  task(`task-${String(at)}`, { summary: 'a task', steps: (p) => p.run(['true'], { effect: 'reads' }) })(),
);
const { plan } = makePlan(goals, sha256);
const around = { logOf: (step: string) => step, program: () => 'npm run task', rest: [], lastMs: () => undefined };
const reporter =
  view === 'live'
    ? prettyReporter(process.stdout, true, plan, around)
    : plainReporter((text) => void process.stdout.write(text), { color: true, plan, around });

const performer: LivePerformer = {
  explores: false,
  async perform(step) {
    for (let line = 0; line < LINES; line++)
      reporter.event({
        type: 'step-output',
        id: step.id,
        stream: 'stdout',
        text: `line ${String(line)} of ${step.id}\n`,
      });
    await new Promise((resolve) => setTimeout(resolve, TASK_MS));
    return { ok: true, fact: { known: true, value: null } };
  },
  enter: () => Promise.reject(new Error('no scope here')),
  serviceEnded: () => new Promise(() => undefined),
};

const startMs = performance.now();
const startCpu = process.cpuUsage();
const status = await runPlan(plan, {
  run: 'bench',
  performer,
  clock,
  cancel: new CancelSource(),
  capacity: { jobs: JOBS, memoryMb: 1000, cpu: JOBS },
  keepGoing: false,
  freshness: ALWAYS_RUN,
  force: false,
  emit: (event) => reporter.event(event),
  line: (step) => step.id,
});
await reporter.close();
const { user, system } = process.cpuUsage(startCpu);
writeFileSync(into, JSON.stringify({ status, wallMs: performance.now() - startMs, cpuMs: (user + system) / 1000 }));
