import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import {
  beginRun,
  findRun,
  forgetOldRuns,
  leavesTraces,
  leftovers,
  listRuns,
  openJournal,
  readRun,
  readRuns,
  type KeptRun,
} from '../../lib/cli/runs.ts';
import { summaryOf } from '../../lib/cli/verbs/history.ts';
import { makePlan } from '../../lib/engine/graph.ts';
import { sha256 } from '../../lib/host/hash.ts';
import { reapLeftovers } from '../../lib/host/ledger.ts';
import type { Plan } from '../../lib/model/plan.ts';
import { task, type TaskSpec } from '../../lib/model/task.ts';
import { toldTasks } from '../../lib/report/told-run.ts';

const folder = mkdtempSync(join(tmpdir(), 'slipway-runs-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const planOf = (steps: NonNullable<TaskSpec<{}, {}, void>['steps']>): Plan =>
  makePlan([task('one', { summary: 'One.', steps })()], sha256).plan;
const ABOUT = { commandLine: 'one', client: 'somebody@here', commit: null, targets: [] };

test('a run is waited for on the disk when it does more than read and derive files here', () => {
  expect(leavesTraces(planOf((p) => void p.run(['true'], { effect: 'reads' })))).toBe(false);
  expect(leavesTraces(planOf((p) => void p.run(['make'], { effect: 'derives' })))).toBe(false);
  expect(leavesTraces(planOf((p) => p.write('a', 'b')))).toBe(true);
  expect(leavesTraces(planOf((p) => void p.run(['rm', 'a'], { effect: 'collects' })))).toBe(true);
});

test('a plan that a power cut left empty, or cut short, is no run', () => {
  const plan = planOf((p) => void p.run(['true'], { effect: 'reads' }));
  for (const run of ['20260101-000000-aaaa', '20260101-000001-aaaa']) beginRun(folder, run, plan, ABOUT);
  const path = join(folder, 'runs/20260101-000001-aaaa/plan.json');
  const whole = readFileSync(path, 'utf8');
  for (const text of ['', whole.slice(0, -10)]) {
    writeFileSync(path, text);
    expect(readRuns(folder).map(({ id }) => id)).toEqual(['20260101-000000-aaaa']);
  }
});

test('a file that lies beside the runs is none', async () => {
  const own = mkdtempSync(join(tmpdir(), 'slipway-runs-'));
  const plan = planOf((p) => void p.run(['true'], { effect: 'reads' }));
  beginRun(own, '20260101-000000-aaaa', plan, ABOUT);
  writeFileSync(join(own, 'runs/.DS_Store'), '');
  const runs = listRuns(own);
  forgetOldRuns(own, runs);
  expect(leftovers(runs)).toEqual([]);
  expect(readRuns(own).map(({ id }) => id)).toEqual(['20260101-000000-aaaa']);
  expect(await reapLeftovers(own)).toEqual([]);
  rmSync(own, { recursive: true });
});

test('a run is found by its id, by a part that no other has, or as the last one', () => {
  const runs = readRuns(folder);
  const [run] = runs;
  for (const named of ['20260101-000000-aaaa', '000000-aaaa', 'last']) expect(findRun(runs, named)).toBe(run);
  const other = { ...run, id: '20260101-000009-aaaa' } as KeptRun;
  expect(() => findRun([...runs, other], 'aaaa')).toThrow('aaaa may be any of 2 runs');
  for (const named of ['', 'aaa', 'bbbb']) expect(() => findRun(runs, named)).toThrow(`there is no run ${named}`);
  expect(() => findRun([], 'last')).toThrow('there is no run last');
});

test('a run is over when its last whole line says so, and left what its lines say otherwise', () => {
  const run = '20260101-000002-aaaa';
  beginRun(
    folder,
    run,
    planOf((p) => p.write('a', 'b')),
    ABOUT,
  );
  // Another process that is gone.
  const path = join(folder, 'runs', run, 'plan.json');
  writeFileSync(path, readFileSync(path, 'utf8').replace(/"started":"[^"]*"/, '"started":"1"'));
  const journal = openJournal(folder, run);
  const open = (): readonly string[] => leftovers(readRuns(folder)).flatMap(({ past }) => past.open);
  journal.write({ type: 'change-started', id: 'one/1' });
  expect([readRun(folder, run)?.isOver, open()]).toEqual([false, ['one/1']]);
  const finished = { type: 'run-finished', run, status: 4, durationMs: 1 } as const;
  journal.write({ ...finished, outcome: 'not-put-back' });
  expect([readRun(folder, run)?.isOver, open()]).toEqual([false, ['one/1']]);
  journal.write({ ...finished, outcome: 'failed' });
  expect([readRun(folder, run)?.isOver, open()]).toEqual([true, []]);
  // A service that a watch kept up ends later.
  journal.write({ type: 'task-finished', task: 'up', outcome: 'done', durationMs: 1 });
  expect([readRun(folder, run)?.isOver, open()]).toEqual([true, []]);
  journal.close();
  writeFileSync(join(folder, 'runs', run, 'journal.jsonl'), '{"type":"run-fini', { flag: 'a' });
  expect(readRun(folder, run)?.isOver).toBe(false);
});

test('of finished runs fifty stay, and those beyond go ten at a time; one that is not over stays', () => {
  const own = mkdtempSync(join(tmpdir(), 'slipway-runs-'));
  const plan = planOf((p) => void p.run(['true'], { effect: 'reads' }));
  let count = 0;
  const add = (over: boolean): string => {
    const run = `20260101-${String(100_000 + count++)}-aaaa`;
    beginRun(own, run, plan, ABOUT);
    const journal = openJournal(own, run, false);
    if (over) journal.write({ type: 'run-finished', run, status: 0, durationMs: 1, outcome: 'done' });
    journal.close();
    return run;
  };
  const kept = (): readonly string[] => readdirSync(join(own, 'runs'));
  const open = add(false);
  for (let more = 1; more < 59; more++) add(true);
  forgetOldRuns(own, listRuns(own));
  expect(kept()).toHaveLength(59);
  const last = add(true);
  forgetOldRuns(own, listRuns(own));
  expect(kept()).toHaveLength(51);
  expect(kept()).toEqual(expect.arrayContaining([open, last]));
  rmSync(own, { recursive: true });
});

test('of old runs that were killed those are forgotten that left nothing', () => {
  const own = mkdtempSync(join(tmpdir(), 'slipway-runs-'));
  const plan = planOf((p) => void p.run(['true'], { effect: 'reads' }));
  const add = (run: string, started?: string): string => {
    beginRun(own, run, plan, ABOUT);
    const path = join(own, 'runs', run, 'plan.json');
    if (started !== undefined)
      writeFileSync(path, readFileSync(path, 'utf8').replace(/"started":"[^"]*"/, `"started":"${started}"`));
    openJournal(own, run, false).close();
    return run;
  };
  const alive = add('20250101-000000-aaaa');
  add('20250101-000001-aaaa', '1');
  const changed = add('20250101-000002-aaaa', '1');
  const journal = openJournal(own, changed);
  journal.write({ type: 'change-started', id: 'one/1' });
  journal.close();
  const running = add('20250101-000003-aaaa', '1');
  writeFileSync(join(own, 'runs', running, 'ledger.jsonl'), '');
  for (let more = 0; more < 60; more++) add(`20260101-${String(100_000 + more)}-aaaa`);
  forgetOldRuns(own, listRuns(own));
  const old = readdirSync(join(own, 'runs')).filter((run) => run.startsWith('2025'));
  expect(old.sort()).toEqual([alive, changed, running]);
  rmSync(own, { recursive: true });
});

test('a run that was recovered is not told as if it had been done; one that still goes on is not cut off', () => {
  const run = '20260101-000009-aaaa';
  const plan = planOf((p) => p.write('a', 'b'));
  beginRun(folder, run, plan, ABOUT);
  const journal = openJournal(folder, run);
  journal.write({ type: 'task-started', task: 'one' });
  journal.write({
    type: 'step-started',
    id: 'one/1.1',
    task: 'one',
    place: 'here',
    line: 'write a',
    effect: 'changes',
  });
  const told = () => {
    const kept = readRun(folder, run) as KeptRun;
    const { outcome, durationMs } = summaryOf(kept, []);
    const [task] = toldTasks(kept.record.plan, kept.lines, () => null, outcome === 'running' ? outcome : 'cut off');
    return [outcome, durationMs, task?.outcome, task?.steps[0]?.outcome];
  };
  expect(told()).toEqual(['running', null, 'running', 'running']);
  journal.write({ type: 'run-resumed', run, pid: 1 });
  journal.write({ type: 'run-finished', run, outcome: 'done', status: 0, durationMs: 5 });
  expect(told()).toEqual(['recovered', null, 'cut off', 'cut off']);
  journal.close();
});
