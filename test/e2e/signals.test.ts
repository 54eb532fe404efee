import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../device/poll.ts';
import { oneReleaseAnswers, signalled } from './crash.ts';
import type { Running } from './command.ts';
import { Project, inProject } from './project.ts';

const SIGNALS = [
  { signal: 'SIGINT', status: 130 },
  { signal: 'SIGTERM', status: 143 },
  { signal: 'SIGHUP', status: 129 },
] as const;

/** What the journal says when a phase begins. */
const PHASES = [
  { phase: 'upload', like: '"line":"changes rehearsal: upload', ill: false },
  { phase: 'stop', like: '"line":"changes rehearsal: stop service web', ill: false },
  { phase: 'start', like: '"line":"changes rehearsal: start service web', ill: false },
  { phase: 'health', like: '"line":"reads rehearsal: ask release.gate', ill: true },
] as const;

const ILL = '"another"';
const OWN = 'os.environ.get("RELEASE_ID", "dev")';

/** Long enough that only a signal ends the wait for a release that is never healthy. */
const PATIENT = { healthyTimes: 1, healthyTimeoutMs: 60_000 };

describe('a deploy that is signalled', () => {
  let project: Project;
  let [old, good] = ['', ''];

  beforeAll(async () => {
    project = new Project({ patience: PATIENT });
    good = project.read('server.py');
    expect((await project.run(['deploy'])).status).toBe(0);
    old = project.current() ?? '';
  });

  beforeEach(() => project.write('server.py', good));
  afterAll(() => project.stop());

  async function isBack(when: string): Promise<void> {
    await oneReleaseAnswers(project, [old], when);
    expect(project.processes(), when).toEqual([]);
    expect(project.journal().at(-1)?.type, when).toBe('run-finished');
    expect((await project.run(['recover'])).stderr, when).toBe('nothing to recover\n');
  }

  const cases = PHASES.flatMap((phase, row) =>
    SIGNALS.map((signal, column) => ({
      ...phase,
      ...signal,
      whom: (row + column) % 2 === 0 ? ('runner' as const) : ('group' as const),
    })),
  );

  test.each(cases)(
    '$signal to the $whom during $phase: put back, status $status',
    async ({ phase, like, ill, signal, status, whom }) => {
      project.edit();
      if (ill) project.replace('server.py', OWN, ILL);
      const ended = await project.run(['deploy'], signalled(signal, like, whom));
      expect(ended, ended.stderr).toMatchObject({ status, signal: null });
      await isBack(`${signal} during ${phase}`);
    },
  );

  test.each(SIGNALS)(
    '$signal once the release is confirmed: the deploy is finished, status $status',
    async ({ signal, status }) => {
      project.edit();
      const ended = await project.run(['deploy'], signalled(signal, '"settled"', 'runner'));
      expect(ended, ended.stdout).toMatchObject({ status, signal: null });
      expect(project.journal().map(({ id, type }) => `${type} ${id ?? ''}`)).toContain(
        'step-finished deploy(to=rehearsal)/1.3.else.12',
      );
      expect(project.current()).toBe(project.packed());
      old = project.packed();
      await isBack(`${signal} after settle`);
    },
  );

  test('further signals do not stop the undo', async () => {
    project.edit();
    project.replace('server.py', OWN, ILL);
    const deploy = project.start(['deploy']);
    await healthAsked(deploy);
    deploy.child.kill('SIGINT');
    await until('the undo begins', () => deploy.text().includes('↩'), 30_000);
    // Until the last of the undo: a signal that comes while Node takes itself down ends it with that signal.
    const undone = (): boolean => deploy.text().includes('call release.discard');
    await until(
      'it is put back',
      () => undone() || (SIGNALS.forEach(({ signal }) => deploy.child.kill(signal)), false),
      30_000,
    );
    const ended = await deploy.ended;
    expect(ended).toMatchObject({ status: 130, signal: null });
    // Said once, and before anything is put back.
    expect(ended.stdout.split('\n').filter((line) => /^stopping: |↩/.test(line))[0]).toMatch(/^stopping: /);
    expect(ended.stdout.match(/^stopping: /gm)).toHaveLength(1);
    await isBack('many signals');
  });

  test('a closed standard output does not stop the undo', async () => {
    project.edit();
    project.replace('server.py', OWN, ILL);
    project.replace('tasks.ts', '60000', '1000');
    const node = project.commandLine(['deploy']);
    const ended = await project.spawn(['bash', '-c', `set -o pipefail; ${node} 2>&1 | head -1`]).ended;
    expect(ended.status, ended.stdout).toBe(1);
    project.replace('tasks.ts', '1000', '60000');
    await isBack('EPIPE');
  });

  test('an answer that nobody reads on ends quietly', async () => {
    for (const asked of [['history'], ['status'], ['config'], ['--graph', 'dot'], ['--help']]) {
      const answer = `{ ${project.commandLine(asked)}; echo "status $?" >&2; } | exec 1>&- sleep 0`;
      const { stdout, stderr } = await project.spawn(['bash', '-c', answer]).ended;
      expect(`${stdout}${stderr}`.replace('REHEARSAL: nothing reached a real board\n', '')).toBe('status 0\n');
    }
  });

  test('npm killed in front of it counts as HUP', async () => {
    project.edit();
    project.replace('server.py', OWN, ILL);
    const npm = project.spawn(['npm', 'run', 'task', 'deploy']);
    await healthAsked(npm);
    npm.child.kill('SIGKILL');
    await until('the run finished', () => project.journal().some(({ type }) => type === 'run-finished'), 30_000);
    await npm.ended;
    expect(project.journal().at(-1)).toMatchObject({ type: 'run-finished', outcome: 'cancelled', status: 129 });
    await until('the runner ended', () => project.processes().length === 0);
    await isBack('npm killed');
  });

  const healthAsked = (running: Running): Promise<unknown> =>
    until(`health is asked: ${running.text()}`, () => running.text().includes('ask release.gate'), 30_000);
});

const STUBBORN = `
import os, signal, subprocess, sys, time
for name in ('SIGINT', 'SIGTERM', 'SIGHUP'): signal.signal(getattr(signal, name), signal.SIG_IGN)
if len(sys.argv) == 1: subprocess.Popen([sys.executable, sys.argv[0], 'child'])
else: open('ready', 'w').write(str(os.getpid()))
while True: time.sleep(60)
`;

const STUBBORN_TASKS = `
import { main, task } from 'slipway';
const stubborn = task('stubborn', { summary: 'Does not listen.', steps: (p) => { p.run(['python3', 'stubborn.py'], { effect: 'reads' }); } });
await main(import.meta, { tasks: [stubborn] });
`;

describe('a command that ignores signals', () => {
  const cases = SIGNALS.flatMap((signal) => (['runner', 'group'] as const).map((whom) => ({ ...signal, whom })));

  test.concurrent.each(cases)(
    'is ended with its children after $signal to the $whom, status $status',
    ({ signal, status, whom }) =>
      inProject({ tasks: STUBBORN_TASKS }, async (project) => {
        project.write('stubborn.py', STUBBORN);
        const runner = project.start(['stubborn'], { detached: true });
        await until(
          'the grandchild is there',
          () => existsSync(project.path('ready')) && readFileSync(project.path('ready'), 'utf8') !== '',
          30_000,
        );
        process.kill(whom === 'group' ? -runner.pid : runner.pid, signal);
        expect(await runner.ended).toMatchObject({ status, signal: null });
        expect(project.processes()).toEqual([]);
      }),
  );
});
