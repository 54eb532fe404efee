import { spawn } from 'node:child_process';
import { cpSync, existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { dying } from './crash.ts';
import { until } from '../device/poll.ts';
import { follow, type Ended } from './command.ts';
import { inProject, Project, TSX } from './project.ts';

const TASKS = `import { device, main, string, task } from 'slipway';
const base = task('base', { summary: 'A link, a file in a new folder, a tree that goes.', steps(p) {
  p.link('current', 'new');
  p.write('deep/er/made.txt', 'made');
  p.remove('old');
} });
const all = task('all', { summary: 'Files and a service.', needs: { base: base() }, steps(p) {
  p.write('notes.txt', 'first');
  p.write('notes.txt', 'second');
  const web = { name: 'web', argv: ['sleep', '60'] };
  p.change({ touches: [p.service('web')], do: (p) => p.start(web), undo: (p) => p.stop(web) });
} });
const other = task('other', { summary: 'Something else.', steps: (p) => p.write('other.txt', 'x') });
const again = task('again', { summary: 'The same file.', steps: (p) => p.write('deep', 'in the way', { effect: 'derives' }), outputs: ['deep/**'] });
const notes = task('notes', { summary: 'A file again.', steps: (p) => p.write('notes.txt', 'third') });
const gone = task('gone', { summary: 'For good.', steps: (p) => {
  p.run(['true'], { effect: 'irreversible', confirm: 'for-good' });
  p.write('notes.txt', 'gone');
} });
const fails = task('fails', { summary: 'Fails and is put back.', steps: (p) => {
  p.write('notes.txt', 'failed');
  p.run(['false'], { effect: 'reads' });
} });
const prints = task('prints', { summary: 'Prints, and fails.', steps: (p) => {
  p.run(['echo', 'all is well'], { effect: 'reads' });
  p.run(['sh', '-c', 'echo what went wrong >&2; exit 7'], { effect: 'reads' });
} });
const stubborn = task('stubborn', { summary: 'Put back only when allowed.', steps: (p) => {
  p.write('other.txt', 'y');
  p.change({ touches: [], do: (p) => p.run(['true'], { effect: 'changes' }), undo: (p) => p.run(['test', '-e', 'allowed'], { effect: 'changes' }) });
  p.write('notes.txt', 'z');
} });
const signals = task('signals', { summary: 'Its undo is interrupted, twice.', steps: (p) => {
  p.write('notes.txt', 'z');
  p.change({ touches: [], do: (p) => p.run(['true'], { effect: 'changes' }), undo: (p) => {
    // By one command each: two at once may reach two threads of the runner, in either order.
    for (const name of ['INT', 'TERM']) p.run(['sh', '-c', 'kill -' + name + ' $PPID'], { effect: 'changes' });
  } });
} });
const WAIT = 'touch waits; while [ ! -e go ]; do sleep 0.02; done';
const late = task('late', { summary: 'Begins, and writes when it may.', steps: (p) => {
  p.run(['sh', '-c', WAIT], { effect: 'reads' });
  p.write('notes.txt', 'late');
} });
const slowly = task('slowly', { summary: 'Is put back when it may.', steps: (p) => {
  p.change({ touches: [], do: (p) => p.run(['true'], { effect: 'changes' }), undo: (p) => p.run(['sh', '-c', WAIT], { effect: 'changes' }) });
  p.run(['true'], { effect: 'reads' });
} });
const held = task('held', { summary: 'Writes, and goes on.', steps: (p) => {
  p.write('notes.txt', 'third');
  p.run(['true'], { effect: 'reads' });
} });
const board = task('board', {
  summary: 'On a device.',
  params: { to: device({ summary: 'where' }), text: string({ summary: 'what', default: 'new' }) },
  steps(p, { params }) {
    p.within(p.on(params.to).lock('notes'), (p) => {
      p.on(params.to).write('shared/a.txt', params.text);
      p.on(params.to).link('shared/b', params.text);
    });
    p.write('here.txt', 'h');
  },
});
const early = task('early', { summary: 'On a device, first.', params: { to: device({ summary: 'where' }) }, steps: (p, { params }) => p.on(params.to).write('shared/a.txt', 'early') });
await main(import.meta, { tasks: [base, all, other, again, notes, gone, fails, prints, stubborn, signals, late, slowly, held, board, early] });
`;

let project: Project;

beforeEach(() => {
  project = new Project({ tasks: TASKS });
  mkdirSync(project.path('old/inside'), { recursive: true });
  project.write('old/inside/x', 'x');
  project.write('notes.txt', 'before');
});

afterEach(() => project.stop());

const before = (): void => {
  expect(project.read('notes.txt')).toBe('before');
  expect(project.read('old/inside/x')).toBe('x');
  expect([existsSync(project.path('deep')), existsSync(project.path('current'))]).toEqual([false, false]);
};

/** Runs a task to its end; the id of that run. */
async function ran(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await project.run(args);
  expect(status, stdout + stderr).toBe(0);
  return project.runs().at(-1) ?? '';
}

const undo = (run: string, ...more: readonly string[]): Promise<Ended> => project.run(['undo', run, '--yes', ...more]);

async function refused(run: string, why: RegExp | string): Promise<void> {
  const ended = await undo(run);
  expect(ended.stderr).toMatch(why);
  expect([ended.status, ended.stdout]).toEqual([3, '']);
}

describe('here', () => {
  test('files, folders, links, trees and services are put back, across a run of something else', async () => {
    const run = await ran('all');
    expect([project.read('notes.txt'), readlinkSync(project.path('current'))]).toEqual(['second', 'new']);
    await ran('other');
    const { status, stdout } = await undo(run);
    expect([status, stdout.includes('put back: 6 changes')]).toEqual([0, true]);
    before();
    expect(project.read('other.txt')).toBe('x');
    const history = await project.run(['history', '--json']);
    const [latest, , first] = JSON.parse(history.stdout) as { run: string; undoes: string; undoneBy: string }[];
    expect([latest?.undoes, first?.undoneBy]).toEqual([run, latest?.run]);
    await refused(run, `run ${run} was put back already, by run ${latest?.run ?? ''}`);
    await refused(latest?.run ?? '', /is itself an undo of run/);
  });

  test('nothing is put back without a yes, and a dry run shows exactly what would be', async () => {
    const run = await ran('all');
    expect(await project.run(['undo', run])).toMatchObject({
      status: 3,
      stderr: expect.stringContaining(`not confirmed: ${run}`) as string,
    });
    const dry = await undo(run, '--dry-run', '--json');
    const shown = dry.stdout
      .split('\n')
      .slice(0, -2)
      .map((line) => (JSON.parse(line) as { line: string }).line);
    expect([dry.status, shown.length, project.read('notes.txt')]).toEqual([0, 6, 'second']);
    const runs = project.runs().length;
    expect((await undo(run, '--json')).status).toBe(0);
    expect(project.runs().length).toBe(runs + 1);
    const done = project.journal().filter(({ type }) => type === 'step-undone') as unknown as { line: string }[];
    expect(done.map(({ line }) => line)).toEqual(shown);
  });

  test('what a later run touched, too, is refused until that one is undone', async () => {
    const run = await ran('all');
    const later = await ran('notes');
    await refused(run, `run ${later} (notes) touched notes.txt after run ${run} did`);
    expect((await undo(later)).status).toBe(0);
    expect((await undo(run)).status).toBe(0);
    before();
  });

  test('what a run touched that began before it, and went on beside it, is refused as well', async () => {
    const late = project.start(['late']);
    await until('it waits', () => existsSync(project.path('waits')));
    const run = await ran('notes');
    project.write('go', '');
    expect((await late.ended).status).toBe(0);
    const other = project.runs().find((one) => one !== run) ?? '';
    await refused(run, `run ${other} (late) touched notes.txt after run ${run} did`);
    expect((await undo(other)).status).toBe(0);
    expect(project.read('notes.txt')).toBe('third');
    expect((await undo(run)).status).toBe(0);
    before();
  });

  test('what it saved is kept while it is put back, however many runs came after it', async () => {
    const run = await ran('notes');
    const other = await ran('other');
    for (let count = 100; count < 165; count++) {
      cpSync(project.path(`.slipway/runs/${other}`), project.path(`.slipway/runs/20990101-000000-0${String(count)}`), {
        recursive: true,
      });
      mkdirSync(project.path(`.slipway/saved/20990101-000000-0${String(count)}`));
    }
    expect((await undo(run)).status).toBe(0);
    before();
  });

  test('outputs that a later run made in the same place count as well', async () => {
    const run = await ran('base');
    rmSync(project.path('deep'), { recursive: true });
    const later = await ran('again');
    await refused(run, `run ${later} (again) touched deep/er/made.txt`);
  });

  test('what somebody changed by hand since is not lost', async () => {
    const run = await ran('all');
    project.write('notes.txt', 'mine');
    await refused(run, `notes.txt is not as run ${run} left it`);
    expect([project.read('notes.txt'), lstatSync(project.path('current')).isSymbolicLink()]).toEqual(['mine', true]);
  });

  test('nor what is changed while the question stands', async () => {
    const run = await ran('notes');
    const argv = ['-qec', project.commandLine(['undo', run]), '/dev/null'];
    const child = spawn('script', argv, { cwd: project.dir, env: { ...project.env(), TERM: 'xterm' } });
    const asked = follow(child, 'undo');
    await until('it asks', () => asked.text().includes(`type ${run}:`));
    project.write('notes.txt', 'mine');
    child.stdin.write(`${run}\n`);
    expect([(await asked.ended).status, project.read('notes.txt')]).toEqual([3, 'mine']);
    expect(asked.text()).toContain(`notes.txt is not as run ${run} left it`);
  });

  test('a prior state that is gone is named', async () => {
    const run = await ran('all');
    rmSync(project.path(`.slipway/saved/${run}`), { recursive: true });
    await refused(run, `what old was before run ${run} is no longer kept`);
  });

  test('what cannot be undone, or left nothing to undo', async () => {
    await refused(await ran('gone', '--yes'), /did what cannot be undone: irreversible here: true/);
    expect((await project.run(['fails'])).status).toBe(1);
    expect(await undo(project.runs().at(-1) ?? '')).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('left no change that could be put back') as string,
    });
    expect(await undo('nothing')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('no run nothing') as string,
    });
  });

  test('two signals do not stop it; its status tells of the first', async () => {
    const run = await ran('signals');
    const ended = await undo(run);
    expect([ended.status, project.read('notes.txt')]).toEqual([130, 'before']);
    await refused(run, /was put back already/);
  });

  test('what could not be put back is status 4 and named; what came before stays until recover', async () => {
    const run = await ran('stubborn');
    const ended = await undo(run);
    expect([ended.status, project.read('notes.txt'), project.read('other.txt')]).toEqual([4, 'before', 'y']);
    expect(ended.stdout).toContain(
      'NOT PUT BACK: stubborn/2: test -e allowed ended with status 1; finish it with: recover',
    );
    await refused(run, /began to put it back and is not finished: "recover" goes on with it/);
    expect((await project.run(['notes'])).status).toBe(3);
    expect((await project.run(['recover'])).status).toBe(4);
    project.write('allowed', '');
    expect((await project.run(['recover'])).status).toBe(0);
    expect(existsSync(project.path('other.txt'))).toBe(false);
    await refused(run, /was put back already/);
  });

  test('killed after each line of its journal, it is finished by recover', async () => {
    for (let line = 1; ; line++) {
      const run = await ran('base');
      const killed = await project.run(['undo', run, '--yes'], dying(line, 'after'));
      if (killed.signal === null) break;
      const written = project.lastLine();
      const recovered = await project.run(['recover']);
      expect([recovered.status, written, recovered.stderr.includes('nothing to recover')]).toEqual([
        0,
        written,
        written.startsWith('run-finished'),
      ]);
      before();
      expect(line).toBeLessThan(60);
    }
    expect(await project.run(['recover'])).toMatchObject({ status: 0, stderr: 'nothing to recover\n' });
  }, 200_000);
});

describe('a run that was cut off', () => {
  const killed = async (task = 'held'): Promise<void> => {
    expect((await project.run([task], dying(1, 'after', { like: '"change-finished"' }))).signal).toBe('SIGKILL');
  };

  test('is recovered where its checkout was moved to', async () => {
    await killed();
    const moved = `${project.dir}-moved`;
    renameSync(project.dir, moved);
    try {
      const argv = ['--import', TSX, 'tasks.ts', 'recover'];
      const child = spawn(process.execPath, argv, { cwd: moved, env: project.env() });
      expect((await follow(child, 'recover').ended).status).toBe(0);
    } finally {
      renameSync(moved, project.dir);
    }
    before();
  });

  test('loses nothing that somebody changed since', async () => {
    await killed();
    project.write('notes.txt', 'mine');
    const refused = await project.run(['recover']);
    expect([refused.status, project.read('notes.txt')]).toEqual([4, 'mine']);
    expect(refused.stderr).toContain('notes.txt is not as run');
    renameSync(project.path('notes.txt'), project.path('mine.txt'));
    expect((await project.run(['recover'])).status).toBe(0);
    expect([project.read('notes.txt'), project.read('mine.txt')]).toEqual(['before', 'mine']);
  });

  test('is not told as put back when what it saved is gone', async () => {
    await killed();
    rmSync(project.path('.slipway/saved'), { recursive: true });
    const ended = await project.run(['recover']);
    expect([ended.status, project.read('notes.txt')]).toEqual([4, 'third']);
    expect(ended.stdout).toContain('what notes.txt was before run');
  });

  test('is recovered by one at a time', async () => {
    await killed('slowly');
    const first = project.start(['recover']);
    await until('it puts back', () => existsSync(project.path('waits')));
    expect(await project.run(['recover'])).toMatchObject({
      status: 3,
      stderr: expect.stringContaining('another run holds the lock undo') as string,
    });
    project.write('go', '');
    expect((await first.ended).status).toBe(0);
    expect(project.journal().filter(({ type }) => type === 'run-resumed')).toHaveLength(1);
  });
});

test('history and show tell who, what, how long, with what status and why, in 80 columns', async () => {
  expect((await project.run(['prints'])).status).toBe(1);
  const run = project.runs().at(-1) ?? '';
  const history = await project.run(['history']);
  const [head = '', row = ''] = history.stdout.split('\n');
  expect(head).toMatch(/^RUN \(UTC\) +OUTCOME +TIME +WHO +COMMIT +WHAT$/);
  expect(row).toMatch(new RegExp(`^${run} +failed 1 +\\d+\\.\\d s +\\S+ +- +prints$`));
  expect(row.length).toBeLessThan(81);
  const show = await project.run(['show', run]);
  expect(show.stdout).toMatch(/^run \S+: failed \(status 1\) after [\d.]+ s\n {2}typed +prints\n {2}by +tester@/);
  expect(show.stdout).toMatch(
    /\nprints failed · [\d.]+ s\n✓ +[\d.]+ s {2}reads here: echo 'all is well' prints\/1\n✗ +[\d.]+ s {2}reads here: sh -c/,
  );
  expect(show.stdout).toMatch(
    /ended with status 7\n +│ what went wrong\n +whole output: \.slipway\/runs\/\S+\/prints\+2\.log \(16 bytes\)\n$/,
  );
  expect(show.stdout).not.toContain('│ all is well');
  expect((await project.run(['show', run, '--logs'])).stdout).toContain('│ all is well\n');
  const { tasks, events } = JSON.parse((await project.run(['show', run, '--json'])).stdout) as {
    tasks: { steps: { exitCode: number; outcome: string; durationMs: number }[] }[];
    events: object[];
  };
  expect(tasks[0]?.steps.map(({ exitCode, outcome }) => [exitCode, outcome])).toEqual([
    [0, 'done'],
    [7, 'failed'],
  ]);
  expect(events.length).toBeGreaterThan(5);
});

describe('on a device', () => {
  const on = (name: string): string => readFileSync(join(project.root, 'shared', name), 'utf8');

  test('what stands there is put back, the last run first, and what another machine built on is refused', async () => {
    await ran('early');
    const run = await ran('board');
    expect([on('a.txt'), readlinkSync(join(project.root, 'shared/b'))]).toEqual(['new', 'new']);
    const connected = await undo(run, '--connected');
    expect([connected.status, on('a.txt')]).toEqual([0, 'new']);
    const undone = await undo(run);
    expect([undone.status, undone.stdout + undone.stderr, on('a.txt')]).toEqual([
      0,
      expect.stringContaining('rehearsal'),
      'early',
    ]);
    expect([existsSync(join(project.root, 'shared/b')), existsSync(project.path('here.txt'))]).toEqual([false, false]);
    const mine = await ran('board', '--text', 'mine');
    const theirs = await ran('board', '--text', 'theirs');
    await refused(mine, `run ${theirs} (board(to=rehearsal,text=theirs)) touched here.txt after`);
    // As if it had come from another machine.
    rmSync(project.path(`.slipway/runs/${theirs}`), { recursive: true });
    await refused(mine, `run ${theirs} changed rehearsal after run ${mine} did`);
    rmSync(join(project.root, 'state/saved', mine), { recursive: true });
    expect(on('a.txt')).toBe('theirs');
  });

  test('a prior state that the device no longer keeps is named', async () => {
    const run = await ran('early');
    rmSync(join(project.root, 'state/saved'), { recursive: true });
    await refused(run, /what shared\/a.txt was on rehearsal before run .* is no longer kept there/);
    expect(on('a.txt')).toBe('early');
  });
});

test('a release that was confirmed is left to rollback', () =>
  inProject({}, async (hello) => {
    expect((await hello.run(['deploy'])).status).toBe(0);
    const first = hello.current() ?? '';
    const again = await hello.run(['undo', hello.runs().at(-1) ?? '', '--yes']);
    expect([again.status, again.stderr]).toEqual([
      3,
      expect.stringMatching(/there was none before .*: deploy what should run there instead\n$/),
    ]);
    hello.edit();
    expect((await hello.run(['deploy'])).status).toBe(0);
    const ended = await hello.run(['undo', hello.runs().at(-1) ?? '', '--yes']);
    expect([ended.status, ended.stderr]).toEqual([
      3,
      expect.stringMatching(
        new RegExp(
          `services and data have gone on since\\n {2}.*: npm run task rollback -- --to rehearsal --release ${first}\\n$`,
        ),
      ),
    ]);
  }));
