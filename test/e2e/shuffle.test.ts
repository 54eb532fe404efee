import { expect, test } from 'vitest';
import { inProject, type Project } from './project.ts';

/** \`use\` reads what \`make\` writes, and does not say that it needs it. */
const TASKS = `import { main, task } from 'slipway';
const make = task('make', { summary: 'Makes it.', steps: (p) => { p.run(['touch', 'made'], { effect: 'derives' }); } });
const use = task('use', { summary: 'Uses it.', steps: (p) => { p.run(['cat', 'made'], { effect: 'reads' }); } });
const all = task('all', { summary: 'Both.', needs: { make: make(), use: use() } });
await main(import.meta, { tasks: [make, use, all] });
`;

async function runs(
  project: Project,
  seed: string,
): Promise<{ readonly status: number | null; readonly seed: string }> {
  await project.spawn(['rm', '-f', 'made']).ended;
  const { status, stderr } = await project.run(['all', '-j1', '--shuffle', seed]);
  return { status, seed: /^shuffled: --shuffle (\d+) takes this order again$/m.exec(stderr)?.[1] ?? 'not told' };
}

test('a random order finds a need that nobody declared, and its seed finds it again', () =>
  inProject({ tasks: TASKS }, async (project) => {
    expect((await project.run(['all', '-j1'])).status).toBe(0);
    const found: string[] = [];
    for (let tried = 0; found.length === 0 && tried < 30; tried++) {
      const { status, seed } = await runs(project, 'random');
      if (status === 1) found.push(seed);
    }
    const [seed = 'none found'] = found;
    expect(await runs(project, seed)).toEqual({ status: 1, seed });
  }));
