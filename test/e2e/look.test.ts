import { appendFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dying } from './crash.ts';
import { Project } from './project.ts';

let project: Project;

beforeAll(async () => {
  project = new Project();
  expect((await project.run(['deploy'])).status).toBe(0);
});

afterAll(() => project.stop());

test('status says which run was cut off, and that recover puts it right', async () => {
  project.edit();
  const killed = await project.run(['deploy'], dying(1, 'after', { like: '"line":"changes rehearsal: start' }));
  expect(killed.signal).toBe('SIGKILL');
  const run = project.runs().at(-1) ?? '';
  const { stdout } = await project.run(['status']);
  expect(stdout).toMatch(
    new RegExp(`\nrun ${run} \\(deploy\\(to=rehearsal\\)\\) was cut off: .* changes .*; "recover" puts that right\n$`),
  );
  const { cutOff } = JSON.parse((await project.run(['status', '--json'])).stdout) as { cutOff: object[] };
  expect(cutOff).toEqual([
    { run, goals: ['deploy(to=rehearsal)'], left: expect.stringContaining('changes') as string, next: 'recover' },
  ]);
  const recovered = await project.run(['recover']);
  const changes = /put back: (\d+ changes)\n/.exec(recovered.stdout)?.[1];
  expect([recovered.status, changes]).toEqual([0, expect.any(String)]);
  expect(stdout).toContain(`was cut off: ${changes ?? ''} neither confirmed nor put back`);
  await project.run(['show', run, '--report', 'report.html']);
  expect(project.read('report.html')).toContain(`${changes ?? ''} were put back.`);
  expect((await project.run(['status'])).stdout).not.toContain('cut off');
  expect(JSON.parse((await project.run(['status', '--json'])).stdout)).toMatchObject({ cutOff: [] });
});

test('to look takes no secret: what there is is masked; a deploy names all that are missing', async () => {
  const tasks = project.read('tasks.ts');
  project.replace('tasks.ts', 'keep: 3,', "keep: 3, secrets: ['FIRST', 'SECOND', 'THIRD'],");
  project.write('.env.rehearsal', 'SECOND=hunter2-hunter2\n');
  expect(await project.run(['status'])).toMatchObject({ status: 0, stdout: expect.stringContaining('web') as string });
  appendFileSync(join(project.root, 'logs/web.log'), 'with hunter2-hunter2\n');
  const logs = await project.run(['logs', 'web', '-n', '1', '--device', 'rehearsal']);
  expect(logs).toMatchObject({ status: 0, stdout: 'with ***\n' });
  const missing = 'the secrets FIRST, THIRD are not set: .env.rehearsal';
  for (const mode of [[], ['--dry-run', '--connected']])
    expect(await project.run(['deploy', ...mode])).toMatchObject({
      status: 2,
      stderr: `slipway: ${missing}\n  set them there; "config" shows every setting's source\n`,
    });
  const doctor = await project.run(['doctor']);
  expect(doctor).toMatchObject({ status: 3, stdout: expect.stringContaining(missing) as string });
  project.write('tasks.ts', tasks);
  rmSync(project.path('.env.rehearsal'));
});

/** A port of this machine at which nothing listens. */
const NOBODY = 1;

test('a board that cannot be reached is told as that, whatever secrets are missing', async () => {
  const tasks = project.read('tasks.ts');
  project.replace('tasks.ts', 'keep: 3,', "keep: 3, secrets: ['FIRST'],");
  project.write('.env.board', `BOARD_HOST=127.0.0.1\nBOARD_PORT=${String(NOBODY)}\n`);
  const { status, stderr } = await project.run(['status', '--device', 'board']);
  expect([status, stderr]).toEqual([1, expect.stringContaining('cannot be reached: ECONNREFUSED')]);
  const json = await project.run(['status', '--device', 'board', '--json']);
  expect([json.status, JSON.parse(json.stdout)]).toMatchObject([
    1,
    {
      devices: [
        {
          name: 'board',
          error: {
            reason: 'unreachable',
            message: `board (127.0.0.1:${String(NOBODY)}) cannot be reached: ECONNREFUSED`,
            next: 'nothing listens there: see whether the device is up and sshd runs',
          },
        },
      ],
    },
  ]);
  const logs = await project.run(['logs', 'web', '--device', 'board']);
  expect([logs.status, logs.stderr]).toEqual([1, expect.stringContaining('cannot be reached: ECONNREFUSED')]);
  project.write('tasks.ts', tasks);
  rmSync(project.path('.env.board'));
});
