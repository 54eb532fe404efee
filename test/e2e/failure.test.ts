import { readFileSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Commands } from '../rig/commands.ts';
import { dialled } from './dialled.ts';
import type { Project } from './project.ts';

const GOALS = ['bad', 'after', 'other', 'last'];

const rigged = (check: (project: Project, rigged: Commands) => Promise<void>): Promise<void> =>
  dialled(
    `const bad = reader('bad');
await main(import.meta, { tasks: [bad, reader('after', { needs: { bad: bad() } }), reader('other'), reader('last')] });`,
    check,
  );

test('after a failure nothing new starts, also one at a time', () =>
  rigged(async (project, rigged) => {
    const running = project.start([...GOALS, '-j', '1']);
    (await rigged.started('bad')).exit(1);
    expect(await running.ended).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/^1 failed · 3 not run · /m) as string,
    });
    expect(GOALS.map((name) => rigged.count(name))).toEqual([1, 0, 0, 0]);
  }));

test('-k runs what does not need what failed', () =>
  rigged(async (project, rigged) => {
    const running = project.start([...GOALS, '-j', '1', '-k']);
    (await rigged.started('bad')).exit(1);
    (await rigged.started('other')).exit(0);
    (await rigged.started('last')).exit(0);
    expect(await running.ended).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/^2 done · 1 failed · 1 not run · /m) as string,
    });
    expect(rigged.count('after')).toBe(0);
  }));

test('what a cancelled task printed is shown, and kept', () =>
  rigged(async (project, rigged) => {
    const running = project.start(['other', 'last', '-j', '2']);
    for (const name of ['other', 'last']) (await rigged.started(name)).print(`half of ${name}`);
    while (!['other', 'last'].every((name) => logOf(project, name).includes('half of'))) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    running.child.kill('SIGINT');
    const { status, stdout } = await running.ended;
    expect(status).toBe(130);
    for (const name of ['other', 'last']) {
      expect(stdout).toMatch(new RegExp(`^${name} +│ {3}half of ${name}$`, 'm'));
      expect(logOf(project, name)).toBe(`half of ${name}`);
    }
  }));

function logOf(project: Project, task: string): string {
  const folder = project.path(`.slipway/runs/${project.runs().at(-1) ?? ''}`);
  const log = readdirSync(folder).find((name) => name.startsWith(`${task}+`));
  return log === undefined ? '' : readFileSync(`${folder}/${log}`, 'utf8');
}
