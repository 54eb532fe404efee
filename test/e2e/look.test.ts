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
  expect(await project.run(['recover'])).toMatchObject({ status: 0 });
  expect((await project.run(['status'])).stdout).not.toContain('cut off');
  expect(JSON.parse((await project.run(['status', '--json'])).stdout)).toMatchObject({ cutOff: [] });
});
