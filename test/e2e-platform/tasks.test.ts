import { existsSync, readdirSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { BASE_MS, PLATFORM } from './base.ts';
import type { Ended } from './command.ts';
import { Platform } from './platform.ts';
import { processesWith } from './proc.ts';

// A deploy of the whole platform takes its time on a busy machine.
vi.setConfig({ testTimeout: 180_000, hookTimeout: BASE_MS });

let platform: Platform;

beforeAll(async () => {
  platform = await Platform.create();
});

afterAll(async () => {
  await platform.stop();
});

interface Event {
  readonly type: string;
  readonly task: string;
  readonly outcome: string;
}

/** The tasks of a run with their outcomes, and what happened in order. */
function told({ status, stdout, stderr }: Ended): {
  readonly outcomes: { readonly [task: string]: string };
  readonly order: readonly string[];
} {
  expect(status, stdout + stderr).toBe(0);
  const events = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Event);
  const finished = events.filter(({ type }) => type === 'task-finished');
  const order = events.flatMap(({ type, task }) =>
    type === 'task-started' || type === 'task-finished' ? [`${type.slice(5)} ${task}`] : [],
  );
  return { outcomes: Object.fromEntries(finished.map(({ task, outcome }) => [task, outcome])), order };
}

const WHEELS = 'build:wheels(to=rehearsal)';
const BUILD = 'build(to=rehearsal)';

test('the tests of backend and frontend pass, side by side', async () => {
  const { outcomes, order } = told(await platform.run('test:backend', 'test:frontend', '--json'));
  expect(outcomes).toEqual({
    'setup:backend': 'fresh',
    'setup:frontend': 'fresh',
    'test:backend': 'done',
    'test:frontend': 'done',
  });
  const at = (what: string): number => order.indexOf(what);
  expect(at('started test:frontend')).toBeLessThan(at('finished test:backend'));
  expect(at('started test:backend')).toBeLessThan(at('finished test:frontend'));
  expect(processesWith(platform.dir)).toEqual([]);
});

test('what follows -- goes to the test runner, and a failing test fails the task', async () => {
  const chosen = await platform.run('test:backend', '--', 'tests/test_startup.py', '-k', 'nothing_is_called_so');
  expect(chosen.status).toBe(1);
  expect(chosen.stdout).toMatch(/\d+ deselected/);
  expect(chosen.stdout).toContain(
    'test:backend failed: .venv/bin/python -m pytest -q -p no:cacheprovider tests/test_startup.py -k nothing_is_called_so ended with status 5',
  );
});

test('lint passes, and finds what is wrong in backend, exchange and frontend', async () => {
  expect(told(await platform.run('lint:backend', 'lint:frontend', '--json')).outcomes).toMatchObject({
    'lint:backend': 'done',
    'lint:frontend': 'done',
  });
  const mends = [
    platform.edit(`${PLATFORM}/exchange/prices.py`, /$/, '\nimport os\n'),
    platform.edit(`${PLATFORM}/frontend/src/main.tsx`, /$/, '\nconst never: string = 1\n'),
  ];
  const found = await platform.run('lint:backend', 'lint:frontend', '--keep-going');
  expect(found.status).toBe(1);
  expect(found.stdout).toMatch(/exchange\/prices\.py|F401/);
  expect(found.stdout).toMatch(
    /lint:backend failed[^]*lint:frontend failed|lint:frontend failed[^]*lint:backend failed/,
  );
  for (const mend of mends) mend();
});

test('a second setup and build are fresh; what is deleted or changed is made again, and nothing else', async () => {
  const build = async (): Promise<{ readonly [task: string]: string }> =>
    told(await platform.run('setup', 'build', '--json')).outcomes;
  const ran = (outcomes: { readonly [task: string]: string }): readonly string[] =>
    Object.keys(outcomes)
      .filter((task) => outcomes[task] !== 'fresh')
      .sort();
  // `setup` and `build` themselves: one has no steps, and both end fresh with their needs.
  expect(ran(await build())).toEqual([]);

  rmSync(platform.path(`${PLATFORM}/frontend/dist`), { recursive: true });
  expect(ran(await build())).toEqual(['build:frontend']);
  expect(existsSync(platform.path(`${PLATFORM}/frontend/dist/index.html`))).toBe(true);

  const wheels = platform.path('.slipway/build/rehearsal/wheels');
  const [wheel = ''] = readdirSync(wheels);
  rmSync(`${wheels}/${wheel}`);
  expect(ran(await build())).toEqual([WHEELS]);
  expect(readdirSync(wheels)).toContain(wheel);

  const mend = platform.edit(`${PLATFORM}/backend/fetcher/loop.py`, /$/, '\n# changed\n');
  expect(ran(await build())).toEqual([BUILD]);
  mend();
  expect(ran(await build())).toEqual([BUILD]);
});
