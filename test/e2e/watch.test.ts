import { mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { setTimeout as rest } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { until } from '../device/poll.ts';
import type { Commands } from '../rig/commands.ts';
import type { Running } from './command.ts';
import { dialled, SERVED } from './dialled.ts';
import { inProject, type Project } from './project.ts';

const IDLE = 'watching for changes; Ctrl-C ends\n';

const watched = (
  body: string,
  args: readonly string[],
  check: (project: Project, rigged: Commands, running: Running) => Promise<void>,
): Promise<void> => dialled(body, (project, rigged) => check(project, rigged, project.start([...args, '--watch'])));

/** Waits until so many runs are over and nothing is queued. */
const idle = (running: Running, times: number): Promise<unknown> =>
  until(`idle ${String(times)} times: ${running.text()}`, () => running.text().split(IDLE).length > times, 60_000);

async function interrupted(running: Running): Promise<void> {
  running.child.kill('SIGINT');
  expect(await running.ended).toMatchObject({ status: 130, signal: null });
}

const TWO = `const check = reader('check', { inputs: ['src/**'], outputs: [] });
const other = reader('other', { inputs: ['other/**'], outputs: [] });
await main(import.meta, { tasks: [check, other] });`;

test('only what changed runs again: once for edits during a run, once for a burst, for new and deleted files', () =>
  watched(TWO, ['check', 'other', '-j', '2'], async (project, rigged, running) => {
    const [first, other] = [await rigged.started('check'), await rigged.started('other')];
    for (const content of ['1', '2', '3']) project.write('src/a.txt', content);
    project.write('src/b.txt', 'new');
    other.exit(0);
    first.exit(0);
    // Queued by what was edited meanwhile; that it fails does not end the watch.
    (await rigged.started('check')).exit(1);
    await idle(running, 1);
    for (let n = 0; n < 30; n++) project.write(`src/${String(n)}.txt`, 'burst');
    (await rigged.started('check')).exit(0);
    await idle(running, 2);
    utimesSync(project.path('src/a.txt'), new Date(), new Date());
    mkdirSync(project.path('src/new/deep'), { recursive: true });
    project.write('src/new/deep/c.txt', 'c');
    (await rigged.started('check')).exit(0);
    await idle(running, 3);
    rmSync(project.path('src/a.txt'));
    (await rigged.started('check')).exit(0);
    await idle(running, 4);
    project.write('other/x.txt', 'x');
    (await rigged.started('other')).exit(0);
    await idle(running, 5);
    expect([rigged.count('check'), rigged.count('other')]).toEqual([5, 2]);
    expect(running.text()).toContain('changed: other/x.txt\n');
    expect(project.runs()).toHaveLength(6);
    await interrupted(running);
    expect(project.journal().at(-1)?.type).toBe('run-finished');
  }));

test('a report is of the latest run, also of one that failed', () =>
  watched(TWO, ['check', '--report', 'r.html'], async (project, rigged, running) => {
    for (const [times, status] of [
      [1, 0],
      [2, 1],
    ] as const) {
      (await rigged.started('check')).exit(status);
      await idle(running, times);
      expect(project.runs()).toHaveLength(times);
      expect(project.read('r.html')).toContain(project.runs().at(-1));
      project.write('src/a.txt', String(times));
    }
    (await rigged.started('check')).exit(0);
    await idle(running, 3);
    await interrupted(running);
  }));

test('an edit of tasks.ts is told once: it counts when the watch is begun again', () =>
  watched(TWO, ['check'], async (project, rigged, running) => {
    (await rigged.started('check')).exit(0);
    await idle(running, 1);
    project.write('tasks.ts', `${project.read('tasks.ts')}// edited\n`);
    await until('it is told', () => running.text().includes('tasks.ts was edited: '));
    project.write('src/a.txt', '1');
    (await rigged.started('check')).exit(0);
    await idle(running, 2);
    expect(running.text().match(/was edited/g)).toHaveLength(1);
    await interrupted(running);
  }));

test("what one task leaves out, of inputs or outputs, may be another one's", () =>
  watched(
    `const fmt = reader('fmt', { inputs: ['src/**', '!src/tests/**'] });
const unit = reader('unit', { inputs: ['src/tests/**'], needs: { fmt: fmt() } });
const make = (name, outputs) => task(name, { summary: name, outputs, steps: (p) => p.run(named(name), { effect: 'derives' }) });
const all = task('all', { summary: 'all', needs: { unit: unit(), one: make('one', ['src/made/**'])(), two: make('two', ['lib/**', '!src/**'])() } });
await main(import.meta, { tasks: [all, unit, fmt] });`,
    ['all', '-j', '4'],
    async (project, rigged, running) => {
      const [fmt, one, two] = [await rigged.started('fmt'), await rigged.started('one'), await rigged.started('two')];
      mkdirSync(project.path('src/made'));
      mkdirSync(project.path('lib'));
      one.write('src/made/by-one', '1');
      two.write('lib/by-two', '1');
      for (const each of [fmt, one, two]) each.exit(0);
      (await rigged.started('unit')).exit(0);
      await idle(running, 1);
      expect(running.text()).not.toContain('changed: ');
      mkdirSync(project.path('src/tests'));
      project.write('src/tests/t.txt', '1');
      await until('it is told', () => running.text().includes('changed: src/tests/t.txt\n'));
      await interrupted(running);
    },
  ));

test('an edit of a file behind a link runs what reads the link, also of one that a run met first', () =>
  watched(TWO, ['check'], async (project, rigged, running) => {
    const first = await rigged.started('check');
    mkdirSync(project.path('shared'));
    project.write('shared/c.json', '1');
    symlinkSync('../shared/c.json', project.path('src/c.json'));
    first.exit(0);
    (await rigged.started('check')).exit(0);
    await idle(running, 1);
    for (const times of [2, 3]) {
      project.write('shared/c.json', String(times));
      (await rigged.started('check')).exit(0);
      await idle(running, times);
    }
    expect(running.text().match(/changed: src\/c\.json\n/g)).toHaveLength(3);
    await interrupted(running);
  }));

test('what cannot be read is told, and the watch goes on: a name that is no UTF-8', async ({ skip }) => {
  skip(process.platform === 'darwin', 'macOS takes no such names');
  await watched(TWO, ['check'], async (project, rigged, running) => {
    const bad = Buffer.concat([Buffer.from(project.path('src/')), Buffer.from([0x62, 0xff])]);
    const told = (times: number): Promise<unknown> =>
      until('it is told', () => running.text().split('is no UTF-8').length > times);
    (await rigged.started('check')).exit(0);
    await idle(running, 1);
    writeFileSync(bad, '');
    await told(1);
    project.write('src/a.txt', '1');
    await told(2);
    rmSync(bad);
    (await rigged.started('check')).exit(0);
    await idle(running, 2);
    expect(running.text()).toContain('changed: src/a.txt\n');
    await interrupted(running);
  });
});

test('a watch begins where something cannot be read, and runs once it can be', async ({ skip }) => {
  skip(process.platform === 'darwin', 'macOS takes no such names');
  await dialled(TWO, async (project, rigged) => {
    const bad = Buffer.concat([Buffer.from(project.path('src/')), Buffer.from([0x62, 0xff])]);
    writeFileSync(bad, '');
    const running = project.start(['check', '--watch']);
    await idle(running, 1);
    rmSync(bad);
    (await rigged.started('check')).exit(0);
    await idle(running, 2);
    await interrupted(running);
  });
});

test('Ctrl-C during a run ends the run as well', () =>
  watched(TWO, ['check'], async (project, rigged, running) => {
    const check = await rigged.started('check');
    await interrupted(running);
    await check.gone;
    expect(project.runs()).toHaveLength(1);
  }));

const FMT = `await main(import.meta, { tasks: [reader('fmt', { inputs: ['src/**'] })] });`;

/** The next run of `fmt` writes that file, or none. */
async function formats(rigged: Commands, path?: string): Promise<void> {
  const fmt = await rigged.started('fmt');
  if (path !== undefined) fmt.write(path, `formatted ${String(rigged.count('fmt'))}`);
  fmt.exit(0);
}

const accused = (running: Running): number => running.text().match(/fmt writes its own inputs: /g)?.length ?? 0;

test('a task that writes its own inputs is named, and not run for ever', () =>
  watched(FMT, ['fmt'], async (project, rigged, running) => {
    for (let n = 0; n < 3; n++) await formats(rigged, 'src/a.txt');
    await idle(running, 1);
    expect(running.text().match(/fmt writes its own inputs: src\/a\.txt;/g)).toHaveLength(1);
    project.write('src/b.txt', 'by hand');
    await formats(rigged, 'src/a.txt');
    await idle(running, 2);
    expect(rigged.count('fmt')).toBe(4);
    await interrupted(running);
  }));

test('so is one whose files have new names each time', () =>
  watched(FMT, ['fmt'], async (project, rigged, running) => {
    for (let n = 0; n < 5; n++) await formats(rigged, `src/${String(n)}\x1b[41m.txt`);
    await idle(running, 1);
    expect(accused(running)).toBe(1);
    expect(running.text()).not.toContain('\x1b[41m');
    project.write('src/b.txt', 'by hand');
    await formats(rigged, 'src/new.txt');
    await idle(running, 2);
    expect(rigged.count('fmt')).toBe(6);
    await interrupted(running);
  }));

test('one that has left a file alone is not held to write it: what is edited during a later run counts', () =>
  watched(FMT, ['fmt'], async (project, rigged, running) => {
    // Somebody who saves the same file during three runs.
    for (let n = 0; n < 3; n++) await formats(rigged, 'src/a.txt');
    await idle(running, 1);
    project.write('src/b.txt', '1');
    await formats(rigged);
    await idle(running, 2);
    project.write('src/b.txt', '2');
    await formats(rigged, 'src/a.txt');
    await formats(rigged);
    await idle(running, 3);
    expect([accused(running), rigged.count('fmt')]).toEqual([1, 6]);
    await interrupted(running);
  }));

test('a service that writes its own inputs when it has come up is named, and not started anew for ever', () =>
  watched(SERVED, ['api'], async (project, rigged, running) => {
    for (let n = 1; n <= 3; n++) {
      const api = await rigged.started('api');
      api.print('up\n');
      await idle(running, n);
      api.write('src/a.txt', `written ${String(n)}`);
      if (n < 3) await api.gone;
    }
    await until('it is named', () =>
      running.text().includes('api writes its own inputs: src/a.txt; it is not started'),
    );
    expect(rigged.count('api')).toBe(3);
    // Two starts that write nothing, edited long after: then an edit right after a start is somebody's.
    for (const [n, name] of ['src/b.txt', 'src/c.txt', 'src/a.txt'].entries()) {
      if (name !== 'src/a.txt') await rest(2_500);
      project.write(name, 'by hand');
      (await rigged.started('api')).print('up\n');
      await idle(running, 4 + n);
    }
    expect(running.text().match(/api writes its own inputs/g)).toHaveLength(1);
    await interrupted(running);
  }));

test("a task that writes the same again runs once more, and what others declare to make is nobody else's edit", () =>
  watched(
    `const make = task('make', { summary: 'm', inputs: ['src/**'], outputs: ['other/**'], steps: (p) => p.run(named('make'), { effect: 'derives' }) });
const use = reader('use', { inputs: ['other/**', 'src/**'], needs: { make: make() } });
await main(import.meta, { tasks: [make, use] });`,
    ['use'],
    async (project, rigged, running) => {
      const make = await rigged.started('make');
      make.write('other/made', '1');
      make.exit(0);
      const use = await rigged.started('use');
      use.write('src/a.txt', 'same');
      use.exit(0);
      const again = await rigged.started('make');
      again.write('other/made', '2');
      again.exit(0);
      const used = await rigged.started('use');
      used.write('src/a.txt', 'same');
      used.exit(0);
      await idle(running, 1);
      expect([rigged.count('make'), rigged.count('use')]).toEqual([2, 2]);
      expect(running.text()).not.toContain('writes its own');
      await interrupted(running);
      expect(project.runs()).toHaveLength(2);
    },
  ));

test('a service stays up from run to run, is started anew when its inputs change or it ended, and ends with the watch', () =>
  watched(SERVED, ['e2e'], async (project, rigged, running) => {
    const api = await rigged.started('api');
    expect(rigged.count('e2e')).toBe(0);
    api.print('up\n');
    (await rigged.started('e2e')).exit(0);
    await idle(running, 1);
    project.write('other/t.txt', '1');
    (await rigged.started('e2e')).exit(1);
    await idle(running, 2);
    expect(rigged.count('api')).toBe(1);

    project.write('src/a.txt', '1');
    await api.gone;
    const second = await rigged.started('api');
    second.print('up\n');
    (await rigged.started('e2e')).exit(0);
    await idle(running, 3);

    second.exit(3);
    await until('its end is told', () => running.text().includes('api: the service api ended with status 3'));
    project.write('other/t.txt', '2');
    const third = await rigged.started('api');
    third.print('up\n');
    const e2e = await rigged.started('e2e');
    running.child.kill('SIGINT');
    await Promise.all([e2e.gone, third.gone]);
    expect(await running.ended).toMatchObject({ status: 130, signal: null });
    expect(project.processes()).toEqual([]);
  }));

test('with --json the events of every run stream on', () =>
  watched(TWO, ['check', '--json'], async (project, rigged, running) => {
    (await rigged.started('check')).exit(0);
    await idle(running, 1);
    project.write('src/a.txt', '1');
    (await rigged.started('check')).exit(0);
    await idle(running, 2);
    await interrupted(running);
    const { stdout } = await running.ended;
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; run?: string });
    expect(events.flatMap(({ type, run }) => (type === 'run-finished' ? [run] : []))).toEqual(project.runs());
  }));

describe('what cannot be watched', () => {
  const usage = (message: string, next: string): object => ({
    status: 2,
    stdout: '',
    stderr: `slipway: ${message}\n  ${next}\n`,
  });

  test('is refused: a deploy, a dry run, a task that declares nothing', () =>
    inProject({}, async (project) => {
      expect(await project.run(['deploy', '--watch'])).toMatchObject({
        status: 2,
        stderr: expect.stringMatching(
          /^slipway: --watch is for tasks that read and derive; deploy\(to=rehearsal\) does more: changes rehearsal: /,
        ) as string,
      });
      expect(await project.run(['build', '--watch', '-n'])).toMatchObject(
        usage(
          '--watch performs, and a dry run does not',
          'leave out --watch, or --dry-run, --connected, --out and --runbook',
        ),
      );
      project.write(
        'tasks.ts',
        `import { main, task } from 'slipway';
await main(import.meta, { tasks: [task('lint', { summary: 'l', steps: (p) => p.run(['true'], { effect: 'reads' }) })] });`,
      );
      expect(await project.run(['lint', '--watch'])).toMatchObject(
        usage('there is nothing to watch: lint declares no inputs', 'declare what it reads: inputs: [globs]'),
      );
      expect(project.runs()).toEqual([]);
    }));

  test('is said beside what can', () =>
    watched(
      `const some = reader('some', { inputs: ['src/**'] });
await main(import.meta, { tasks: [some, reader('all', { needs: { some: some() } })] });`,
      ['all'],
      async (_project, rigged, running) => {
        (await rigged.started('some')).exit(0);
        (await rigged.started('all')).exit(0);
        await idle(running, 1);
        expect(running.text()).toContain(
          'not watched, without declared inputs: all; what changes elsewhere runs them, too\n',
        );
        await interrupted(running);
      },
    ));
});
