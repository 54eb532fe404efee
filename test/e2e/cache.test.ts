import * as fs from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mounts } from '../mounts.ts';
import { Project, TSX } from './project.ts';

/** `copy` makes `out` from `src` and what follows `--`; `slow` waits until the test hangs up; `change` changes something. */
const TASKS = `import { main, task } from 'slipway';

const io = { inputs: ['src/**'], outputs: ['out/**'] };
const copy = task('copy', {
  summary: 'Copies.', ...io,
  steps: (p, { rest }) => void p.run(['sh', '-c', 'mkdir -p out; cat src/* > out/all; echo "$@" >> out/all', 'copy', ...rest], { effect: 'derives' }),
});
const use = task('use', {
  summary: 'Uses it.', needs: { copy: copy() }, inputs: ['out/**'], outputs: [], env: ['MODE'],
  steps: (p) => void p.run(['cat', 'out/all'], { effect: 'reads' }),
});
const slow = task('slow', {
  summary: 'Takes its time.', ...io,
  steps: (p) => void p.run([process.execPath, 'dial.mjs'], { effect: 'derives' }),
});
const breaks = task('breaks', { summary: 'Fails.', steps: (p) => p.shell('echo why; exit 3', { effect: 'reads' }) });
const change = task('change', { summary: 'Changes.', steps: (p) => p.write('changed', 'x') });
await main(import.meta, { tasks: [copy, use, slow, breaks, change] });
`;

/** Dials the test, and goes on when it hangs up. */
const DIAL = `import { createConnection } from 'node:net';
import { mkdirSync, writeFileSync } from 'node:fs';
const socket = createConnection(new URL('dial', import.meta.url).pathname);
socket.once('end', () => { mkdirSync('out', { recursive: true }); writeFileSync('out/slow', 'x'); socket.end(); });
socket.resume();
`;

const project = new Project({ tasks: TASKS });
const calls: Socket[] = [];
const server = createServer({ allowHalfOpen: true }, (socket) => void calls.push(socket));

beforeAll(async () => {
  fs.mkdirSync(project.path('src'));
  project.write('dial.mjs', DIAL);
  await new Promise<void>((resolve) => server.listen(project.path('dial'), resolve));
});

afterAll(async () => {
  server.close();
  await project.stop();
});

/** The plain report's lines without their times. */
const lines = (text: string): readonly string[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/( · [\d.]+ s( saved by the cache)?)+$/, '').trimEnd());

describe('--explain', () => {
  test('says of every task why it runs, is skipped or restored, as it is checked', async () => {
    project.write('src/a', 'one\n');
    const first = await project.run(['use', '--explain']);
    expect(first.status, first.stderr).toBe(0);
    expect(lines(first.stdout)).toEqual([
      'copy runs, nothing fitting being kept, because',
      '  it never ran to its end',
      expect.stringMatching(/^copy │ derives here: sh -c/),
      'copy │ done',
      'use runs, nothing fitting being kept, because',
      '  it never ran to its end',
      'use  │ reads here: cat out/all',
      'use  │   one',
      'use  │',
      'use  │ done',
      '2 done',
    ]);
    const second = await project.run(['use', '--explain'], { env: { MODE: 'fast' } });
    expect(lines(second.stdout).filter((line) => !line.includes('│'))).toEqual([
      'copy is skipped: nothing changed',
      'use runs, nothing fitting being kept, because',
      '  variable MODE is new',
      '1 done · 1 fresh',
    ]);
    project.write('out/all', 'edited');
    const third = await project.run(['use', '--explain', '--json']);
    const checks = third.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; task: string; check: object })
      .filter(({ type }) => type === 'task-checked');
    expect(checks).toEqual([
      {
        type: 'task-checked',
        task: 'copy',
        check: {
          state: 'restored',
          because: [{ reason: 'output', change: 'modified', path: 'out/all' }],
          tookMs: expect.any(Number) as number,
        },
      },
      {
        type: 'task-checked',
        task: 'use',
        check: {
          state: 'restored',
          because: [{ reason: 'variable', change: 'removed', name: 'MODE' }],
          tookMs: expect.any(Number) as number,
        },
      },
    ]);
    expect(project.journal().filter(({ type }) => type === 'task-checked')).toHaveLength(2);
  });

  test('with --dry-run only tells', async () => {
    project.write('src/a', 'two\n');
    const { stdout, status } = await project.run(['use', '--dry-run', '--explain']);
    expect(status).toBe(0);
    expect(stdout.split('\n').slice(0, 6)).toEqual([
      'copy runs, nothing fitting being kept, because',
      '  input src/a was changed',
      expect.stringContaining('sh -c'),
      'use may be skipped: that is known once copy ran',
      expect.stringContaining('cat out/all'),
      '',
    ]);
    expect(fs.readFileSync(project.path('out/all'), 'utf8')).toBe('one\n\n');
  });
});

test('what follows -- reaches the command and is part of the key', async () => {
  project.write('src/a', 'three\n');
  const outcomes: string[] = [];
  for (const rest of [[], ['--', '-x', 'y'], ['--', 'y', '-x'], ['--', '-x', 'y']]) {
    const { stdout } = await project.run(['copy', ...rest]);
    outcomes.push(lines(stdout).at(-1) ?? '');
  }
  expect(outcomes).toEqual(['1 done', '1 done', '1 done', '1 restored']);
  expect(project.read('out/all')).toBe('three\n-x y\n');
});

test('two runs that make the same outputs take turns, and the second says for whom it waits', async () => {
  project.write('src/a', 'four\n');
  const first = project.start(['slow']);
  await expect.poll(() => calls.length, { timeout: 20_000 }).toBe(1);
  const second = project.start(['copy']);
  await expect.poll(() => second.text(), { timeout: 20_000 }).toContain('waits for slow of run');
  expect(fs.existsSync(project.path('out/slow'))).toBe(false);
  calls[0]?.end();
  expect((await first.ended).status).toBe(0);
  expect((await second.ended).status).toBe(0);
  expect(fs.readdirSync(project.path('.slipway/turns'))).toEqual([]);
});

describe.skipIf(!mounts)(
  `where nothing can be written under .slipway${mounts ? '' : ' (skipped: unshare -rm is refused)'}`,
  () => {
    const FULL = 'mount -t tmpfs -o size=64k tmpfs .slipway && head -c 65536 /dev/zero > .slipway/full 2>/dev/null';
    const READ_ONLY = 'mount -t tmpfs tmpfs .slipway && mount -o remount,ro .slipway';

    const within = (mount: string, args: readonly string[]): ReturnType<Project['run']> => {
      const command = `${mount}; exec "$0" --import "$1" tasks.ts ${args.join(' ')}`;
      return project.spawn(['unshare', '-rm', 'sh', '-c', command, process.execPath, TSX]).ended;
    };

    test.each([
      ['full', FULL, 'ENOSPC'],
      ['read-only', READ_ONLY, 'EROFS'],
    ])('%s: a task runs all the same, and that is said once', async (_, mount, code) => {
      project.write('src/a', `${code}\n`);
      const { status, stdout, stderr } = await within(mount, ['use']);
      expect(stderr).toBe(`nothing can be written to .slipway (${code}): of this run nothing is kept\n`);
      expect([status, lines(stdout).at(-1)]).toEqual([0, '2 done']);
      expect(project.read('out/all')).toBe(`${code}\n\n`);
    });

    test('no log is named that goes with the run', async () => {
      const kept = await project.run(['breaks']);
      expect([kept.status, kept.stdout]).toEqual([1, expect.stringContaining('whole output of breaks/1: ')]);
      const { status, stdout } = await within(READ_ONLY, ['breaks']);
      expect([status, stdout]).toEqual([1, expect.stringContaining('why')]);
      expect(stdout).not.toContain('whole output');
    });

    test('a disk too small for what is kept: said once, and the task is done', async () => {
      project.write('src/a', 'x'.repeat(200_000));
      const mount = 'mount -t tmpfs -o size=128k tmpfs .slipway';
      const { status, stdout, stderr } = await within(mount, ['copy']);
      expect(stderr).toBe('what tasks made cannot be kept under .slipway (ENOSPC): they run without it\n');
      expect([status, lines(stdout).at(-1)]).toEqual([0, '1 done']);
    });

    test('a plan that changes something is refused: without a journal nothing could be put back', async () => {
      const { status, stderr } = await within(READ_ONLY, ['change']);
      expect(status).toBe(1);
      expect(stderr).toContain('write ');
      expect(stderr).toContain('EROFS');
      expect(fs.existsSync(project.path('changed'))).toBe(false);
    });
  },
);
