import { expect } from 'vitest';
import { until } from '../device/poll.ts';
import type { Ended } from './command.ts';
import type { CommandOptions, Project } from './project.ts';

export type Moment = 'before' | 'within' | 'after' | 'soon';

const PRELOAD = new URL('./die-at.ts', import.meta.url).href;

/** Has a command kill itself around the `line`-th line of the journal that it writes, of those that hold `like`. */
export function dying(line: number, moment: Moment, { like = '', soonMs = 0 } = {}): CommandOptions {
  return {
    preload: [PRELOAD],
    env: { DIE: moment, DIE_WITH: 'SIGKILL', DIE_LINE: String(line), DIE_LIKE: like, DIE_SOON_MS: String(soonMs) },
  };
}

/** Has a command get a signal right after the first line of the journal that holds `like`. */
export function signalled(signal: NodeJS.Signals, like: string, whom: 'runner' | 'group'): CommandOptions {
  const group = whom === 'group' ? { DIE_GROUP: '1' } : {};
  return {
    preload: [PRELOAD],
    detached: true,
    env: { DIE: 'after', DIE_WITH: signal, DIE_LINE: '1', DIE_LIKE: like, ...group },
  };
}

/** One release is current, it was confirmed, it alone runs, and it answers with its own id. */
export async function oneReleaseAnswers(project: Project, among: readonly string[], when: string): Promise<string> {
  const current = project.current() ?? 'none';
  expect(among, when).toContain(current);
  expect([project.states()[current], project.serving(), await project.answering()], when).toEqual([
    'confirmed',
    [current],
    current,
  ]);
  return current;
}

/** Recovers, and proves that it worked. `killed` is the command that died. */
export async function recovers(project: Project, killed: Ended, old: string, when: string): Promise<string> {
  expect(killed.signal, when).toBe('SIGKILL');
  const recovered = await project.run(['recover']);
  expect(recovered.status, `${when}: ${recovered.stdout}${recovered.stderr}`).toBe(0);
  const release = await oneReleaseAnswers(project, [old, project.packed()], when);
  await until(
    `${when}: nothing but services is left: ${project.processes().join('\n')}`,
    () => project.processes().length === 0,
  );
  return release;
}

/** The next deploy goes well, and nothing is left to recover. */
export async function deploysAgain(project: Project, when: string): Promise<string> {
  const nothing = await project.run(['recover']);
  expect(nothing, when).toMatchObject({ status: 0, stdout: '', stderr: 'nothing to recover\n' });
  const next = await project.run(['deploy']);
  expect(next.status, `${when}: ${next.stdout}${next.stderr}`).toBe(0);
  return oneReleaseAnswers(project, [project.packed()], when);
}

/** How the n-th command of a series dies. */
export type Deaths = (n: number) => { readonly when: string; readonly options: CommandOptions };

/** Deploys and crashes, one way after the other, until a deploy is over before it comes to that; says how often it crashed. */
export async function crashSeries(project: Project, deaths: Deaths): Promise<number> {
  let old = await deploysAgain(project, 'at first');
  for (let crashes = 0; ; crashes++) {
    const { when, options } = deaths(crashes + 1);
    project.edit();
    const killed = await project.run(['deploy'], options);
    if (killed.status === 0) return crashes;
    old = await recovers(project, killed, old, `killed ${when}, ${project.lastLine()}`);
    if (crashes % 8 === 7) old = await deploysAgain(project, when);
  }
}
