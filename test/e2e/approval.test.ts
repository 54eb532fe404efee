import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { oneReleaseAnswers } from './crash.ts';
import { Project } from './project.ts';

describe('an approval', () => {
  let project: Project;
  let old = '';

  beforeAll(async () => {
    project = new Project();
    expect((await project.run(['deploy'])).status).toBe(0);
    old = project.current() ?? '';
  });

  afterAll(() => project.stop());

  const approve = (): ReturnType<Project['run']> =>
    project.run(['deploy', '--dry-run', '--connected', '--out', 'plan.json']);

  test('is kept by --out, changes nothing, and is carried out by apply', async () => {
    project.edit();
    const approved = await approve();
    expect(approved.status, approved.stderr).toBe(0);
    await oneReleaseAnswers(project, [old], 'approved');
    const applied = await project.run(['apply', 'plan.json']);
    expect(applied.status, applied.stdout + applied.stderr).toBe(0);
    expect(project.current()).not.toBe(old);
    old = await oneReleaseAnswers(project, [project.packed()], 'applied');
  });

  test('is stale after an edit of the source: status 3, nothing changed', async () => {
    project.edit();
    expect((await approve()).status).toBe(0);
    project.edit();
    const stale = await project.run(['apply', 'plan.json']);
    expect(stale).toMatchObject({ status: 3, stdout: '' });
    expect(stale.stderr).toMatch(
      /^plan\.json is stale: input server\.py of build differs; plan again with --dry-run --connected --out\n {2}approved: file, sha256 [0-9a-f]{12}\n {2}now: {6}file, sha256 [0-9a-f]{12}\n$/,
    );
    await oneReleaseAnswers(project, [old], 'stale by an edit');
  });

  test('is stale after an edit of the tasks, and says the first difference', async () => {
    expect((await approve()).status).toBe(0);
    const tasks = project.read('tasks.ts');
    project.replace('tasks.ts', 'reservedMb: 256', 'reservedMb: 257');
    const stale = await project.run(['apply', 'plan.json']);
    project.write('tasks.ts', tasks);
    expect(stale.status).toBe(3);
    expect(stale.stderr).toMatch(
      /^plan\.json is stale: build\/1 differs; .*\n {2}approved: .*"reservedMb":256.*\n {2}now: .*"reservedMb":257.*\n$/,
    );
    await oneReleaseAnswers(project, [old], 'stale by the tasks');
  });

  test('is stale after another deploy: status 3 with the fact that differs', async () => {
    const source = project.read('server.py');
    expect((await approve()).status).toBe(0);
    project.edit();
    expect((await project.run(['deploy'])).status).toBe(0);
    const now = project.current() ?? '';
    project.write('server.py', source);
    const stale = await project.run(['apply', 'plan.json']);
    expect(stale.status, stale.stdout).toBe(3);
    expect(stale.stdout).toContain('what was approved is not what would run now: deploy(to=rehearsal)/1.1 was');
    expect(stale.stdout).toContain(old);
    await oneReleaseAnswers(project, [now], 'stale by a deploy');
  });
});
