import { expect, test } from 'vitest';
import { deploysAgain, dying, recovers } from './crash.ts';
import { inProject, type Project } from './project.ts';

/** Crashes a deploy at one place, then its recovery at every `stride`-th line; says how often the recovery crashed. */
async function crashRecoveries(project: Project, like: string, stride: number): Promise<number> {
  let old = await deploysAgain(project, 'at first');
  for (let crashes = 0; ; crashes++) {
    const line = 1 + crashes * stride;
    const moment = crashes % 2 === 0 ? 'after' : 'before';
    const when = `recovery of a deploy cut off at ${like}, killed ${moment} line ${String(line)}`;
    project.edit();
    const deploy = await project.run(['deploy'], dying(1, 'after', { like }));
    expect(deploy.signal, when).toBe('SIGKILL');
    const killed = await project.run(['recover'], dying(line, moment));
    if (killed.status === 0) return crashes;
    old = await recovers(project, killed, old, `${when}, ${project.lastLine()}`);
  }
}

test(
  'a recovery that puts back is killed, and the next one finishes it',
  () =>
    inProject({}, async (project) =>
      expect(
        await crashRecoveries(project, '"type":"step-finished","id":"deploy(to=rehearsal)/1.3.else.10.10"', 4),
      ).toBeGreaterThan(5),
    ),
  200_000,
);

test(
  'a recovery that finishes is killed, and the next one finishes it',
  () => inProject({}, async (project) => expect(await crashRecoveries(project, '"settled"', 4)).toBeGreaterThan(2)),
  200_000,
);
