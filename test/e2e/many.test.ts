import { expect, test } from 'vitest';
import { inProject } from './project.ts';

/** Each says who started it, and takes long enough for a helper to be there. */
const TASKS = `import { main, task } from 'slipway';
const parts = Array.from({ length: 40 }, (_, at) =>
  task('t' + String(at), { summary: 'A part.', steps: (p) => {
    p.shell("sleep 0.1; tr '\\\\0\\\\n' '  ' </proc/$PPID/cmdline", { effect: 'reads' });
  } }));
const all = task('all', { summary: 'All.', needs: Object.fromEntries(parts.map((part) => [part.taskName, part()])) });
await main(import.meta, { tasks: [...parts, all] });
`;

test('of many commands a helper starts most, of few none', async () => {
  await inProject({ tasks: TASKS }, async (project) => {
    const helped = async (...args: string[]): Promise<number> => {
      const { status, stdout, stderr } = await project.run(args);
      expect(status, stdout + stderr).toBe(0);
      return stdout.split('Starts commands for a runner').length - 1;
    };
    expect(await helped('all', '-j2')).toBeGreaterThan(10);
    expect(await helped('t0', 't1')).toBe(0);
  });
});
