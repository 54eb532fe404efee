import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startSshd, missingTools, type Sshd } from '../device/sshd.ts';
import { Project } from './project.ts';
import { useBoard } from './board.ts';

interface ShownStep {
  readonly type: 'step' | 'plan';
  readonly id: string;
  readonly certainty: string;
  readonly undo: readonly string[];
  readonly digest: string;
  readonly steps: number;
}

interface Told {
  readonly type: string;
  readonly id?: string;
  readonly task?: string;
  readonly outcome?: string;
  readonly status?: number;
}

const jsonLines = <T>(text: string): T[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as T);

const kinds: { readonly kind: string; readonly missing: string | null }[] = [
  { kind: 'the rehearsal device', missing: null },
  { kind: "Debian's OpenSSH", missing: missingTools },
];

describe.each(kinds)('hello on $kind', ({ kind, missing }) => {
  let sshd: Sshd | null = null;
  let project: Project;
  const name = kind === 'the rehearsal device' ? 'rehearsal' : 'board';
  let [first, second] = ['', ''];

  beforeAll(async () => {
    if (missing !== null) return;
    if (name === 'board') sshd = await startSshd();
    project = new Project(sshd === null ? {} : { root: sshd.root });
    if (sshd !== null) useBoard(project, sshd);
  });

  afterAll(async () => {
    if (missing !== null) return;
    await project.stop();
    await sshd?.stop();
  });

  const to = name === 'board' ? ['--to', 'board'] : [];

  test.skipIf(missing !== null)(
    `a dry run shows every step that the deploy performs${missing === null ? '' : ` (skipped: no ${missing})`}`,
    async () => {
      const shown = await project.run(['deploy', ...to, '--dry-run', '--json']);
      expect(shown).toMatchObject({ status: 0, stderr: '' });
      const lines = jsonLines<ShownStep>(shown.stdout);
      const steps = lines.filter(({ type }) => type === 'step');
      for (const step of steps)
        expect(Object.keys(step)).toEqual([
          'type',
          'id',
          'task',
          'kind',
          'place',
          'effect',
          'certainty',
          'parent',
          'line',
          'undo',
        ]);
      expect(lines.at(-1)).toEqual({
        type: 'plan',
        digest: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
        steps: steps.length,
      });

      const ran = await project.run(['deploy', ...to, '--json']);
      expect(ran.status).toBe(0);
      const events = jsonLines<Told>(ran.stdout);
      const performed = new Set(events.flatMap((event) => (event.type === 'step-started' ? [event.id] : [])));
      const ids = steps.map(({ id }) => id);
      expect([...performed].filter((id) => !ids.includes(id ?? ''))).toEqual([]);
      expect(steps.filter(({ id, certainty }) => certainty === 'certain' && !performed.has(id))).toEqual([]);
      expect(new Set(events.map(({ type }) => type))).toEqual(
        new Set(['task-started', 'step-started', 'step-finished', 'task-finished', 'run-finished']),
      );
      for (const event of events) if (event.type.startsWith('step-')) expect(event.id).toMatch(/^(build|deploy)/);
      expect(events.filter(({ type }) => type === 'task-finished').map(({ task, outcome }) => [task, outcome])).toEqual(
        [
          ['build', 'done'],
          [`deploy(to=${name})`, 'done'],
        ],
      );
      expect(events.at(-1)).toMatchObject({ type: 'run-finished', outcome: 'done', status: 0 });
      first = project.current() ?? '';
      expect(await project.answering()).toBe(first);
    },
  );

  test.skipIf(missing !== null)('an unchanged release is fresh, and nothing is sent', async () => {
    const again = await project.run(['deploy', ...to, '--json']);
    const events = jsonLines<Told>(again.stdout);
    expect(events.filter(({ type }) => type === 'task-finished').map(({ outcome }) => outcome)).toEqual([
      'fresh',
      'fresh',
    ]);
    expect(again.stdout).not.toMatch(/upload|"changes"/);
  });

  test.skipIf(missing !== null)('a changed source becomes a release that answers', async () => {
    project.edit();
    const changed = await project.run(['deploy', ...to]);
    expect(changed.status).toBe(0);
    second = project.current() ?? '';
    expect(second).not.toBe(first);
    expect(await project.answering()).toBe(second);
    expect(changed.stderr).toContain(`${name}: release ${second} is current (confirmed), web running`);
    expect(changed.stderr.includes('REHEARSAL: nothing reached a real board')).toBe(name === 'rehearsal');
    expect(project.states()).toEqual({ [first]: 'confirmed', [second]: 'confirmed' });
  });

  test.skipIf(missing !== null)('status, history and show tell it', async () => {
    const status = await project.run(['status', '--json']);
    expect(status.status).toBe(0);
    const { devices } = JSON.parse(status.stdout) as { devices: { name: string; releases: { id: string }[] }[] };
    const device = devices.find((one) => one.name === name);
    const releases = [second, first].map((id) => ({ id, state: 'confirmed' }));
    expect({ ...device, releases: new Set(device?.releases) }).toMatchObject({
      name,
      url: project.url(),
      current: second,
      releases: new Set(releases),
      services: [{ name: 'web', state: 'running' }],
    });

    const history = await project.run(['history', '--json']);
    const runs = JSON.parse(history.stdout) as {
      run: string;
      at: string;
      outcome: string;
      status: number;
      goals: string[];
    }[];
    expect(runs).toHaveLength(3);
    expect(runs.map(({ at }) => at)).toEqual(
      runs
        .map(({ at }) => at)
        .sort()
        .reverse(),
    );
    expect(runs[0]).toMatchObject({ goals: [`deploy(to=${name})`], outcome: 'done', status: 0 });

    const show = await project.run(['show', runs[0]?.run ?? '']);
    expect(show.status).toBe(0);
    expect(show.stdout).toContain(`upload .slipway/build as release ${second}`);
    const none = await project.run(['show', 'nothing']);
    expect(none).toEqual({
      status: 2,
      signal: null,
      stdout: '',
      stderr: 'slipway: there is no run nothing\n  "history" lists the runs that are kept\n',
    });
  });

  test.skipIf(missing !== null)('rollback goes back, and a named release is gone to', async () => {
    const back = await project.run(['rollback', ...to]);
    expect(back.status).toBe(0);
    expect([project.current(), await project.answering()]).toEqual([first, first]);
    const further = await project.run(['rollback', ...to]);
    expect(further.status).toBe(3);
    expect(further.stdout).toContain('no earlier confirmed release');
    expect(await project.answering()).toBe(first);
    const named = await project.run(['rollback', ...to, '--release', second]);
    expect(named.status).toBe(0);
    expect([project.current(), await project.answering()]).toEqual([second, second]);
    const unknown = await project.run(['rollback', ...to, '--release', '0000000000000000']);
    expect(unknown.status).toBe(3);
    expect(unknown.stdout).toContain('release 0000000000000000 is not on');
    expect(await project.answering()).toBe(second);
  });

  test.skipIf(missing !== null)('a release that crashes at its start is taken back', async () => {
    const good = project.read('server.py');
    project.write('server.py', `raise SystemExit('no way')\n${good}`);
    const crashed = await project.run(['deploy', ...to, '--json']);
    expect(crashed.status).toBe(1);
    const events = jsonLines<Told>(crashed.stdout);
    expect(events.filter(({ type }) => type === 'step-undone').length).toBeGreaterThan(3);
    expect(events.at(-1)).toMatchObject({ outcome: 'failed', status: 1 });
    expect(crashed.stdout).toContain('no way');
    expect([project.current(), await project.answering()]).toEqual([second, second]);
    project.write('server.py', good);
  });

  test.skipIf(missing !== null)('a release that never is healthy is taken back', async () => {
    const good = project.read('server.py');
    project.replace('server.py', 'os.environ.get("RELEASE_ID", "dev")', '"another"');
    const ill = await project.run(['deploy', ...to]);
    expect(ill.status).toBe(1);
    expect(ill.stdout).toContain('refused (unhealthy): web: reports release another');
    expect(ill.stderr).toContain(`release ${second} is current (confirmed), web running`);
    expect([project.current(), await project.answering()]).toEqual([second, second]);
    expect(Object.values(project.states()).sort()).toEqual(['confirmed', 'confirmed', 'failed', 'failed']);
    project.write('server.py', good);
    expect((await project.run(['recover'])).stderr).toBe('nothing to recover\n');
  });
});
