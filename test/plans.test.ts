import { join } from 'node:path';
import { expect, test } from 'vitest';
import { dryPerformer } from '../lib/engine/dry.ts';
import { ALWAYS_RUN } from '../lib/engine/freshness.ts';
import { makePlan } from '../lib/engine/graph.ts';
import { showPlan } from '../lib/engine/show.ts';
import { clock } from '../lib/host/clock.ts';
import { sha256 } from '../lib/host/hash.ts';
import { deviceName } from '../lib/model/param.ts';
import type { Need } from '../lib/model/task.ts';
import { stepLine } from '../lib/report/line.ts';
import { build } from '../tasks/build.ts';
import { deploy } from '../tasks/deploy.ts';
import { dev } from '../tasks/dev.ts';
import { lint } from '../tasks/lint.ts';
import { rollback } from '../tasks/rollback.ts';
import { setup } from '../tasks/setup.ts';
import { test as testTask } from '../tasks/test.ts';

const to = deviceName('jetson');
const goals: readonly (readonly [string, Need])[] = [
  ['setup', setup()],
  ['dev', dev()],
  ['test', testTask()],
  ['lint', lint()],
  ['build', build({ to })],
  ['deploy', deploy({ to })],
  ['rollback', rollback({ to })],
];

/** Every step of the plan with its certainty, and what puts it back. */
async function shown(need: Need): Promise<string> {
  const { plan } = makePlan([need], sha256);
  expect(JSON.parse(JSON.stringify(plan))).toMatchObject({ digest: plan.digest });
  const { tasks } = await showPlan(plan, {
    performer: dryPerformer,
    clock,
    freshness: ALWAYS_RUN,
    force: true,
    line: stepLine,
  });
  const lines = tasks.flatMap(({ task, steps }) => [
    task,
    ...steps.flatMap(({ id, certainty, line, undo }) => [
      `  ${certainty.padEnd(11)} ${id}  ${line}`,
      ...undo.map((back) => `              ↩ ${back}`),
    ]),
  ]);
  return `${lines.join('\n')}\n`;
}

test.each(goals)('the plan of %s is what it was', async (name, need) => {
  await expect(await shown(need)).toMatchFileSnapshot(join(import.meta.dirname, 'plans', `${name}.txt`));
});
