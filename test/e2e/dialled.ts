import { mkdirSync } from 'node:fs';
import { commands, type Commands } from '../rig/commands.ts';
import { inProject, type Project } from './project.ts';

/**
 * Runs a test in a project whose commands dial back. `body` declares tasks: `reader(name, spec)` runs the command of
 * its name and changes nothing, `named(name)` is that command's argv.
 */
export async function dialled(
  body: string,
  check: (project: Project, rigged: Commands) => Promise<void>,
): Promise<void> {
  const rigged = await commands();
  const tasks = `import { main, task } from 'slipway';
const argv = ${JSON.stringify(rigged.argv('NAME'))};
const named = (name) => [...argv.slice(0, -1), name];
const reader = (name, spec) => task(name, { summary: name, ...spec, steps: (p) => p.run(named(name), { effect: 'reads' }) });
${body}
`;
  await inProject({ tasks }, async (project) => {
    for (const folder of ['src', 'other']) mkdirSync(project.path(folder));
    project.write('src/a.txt', '0');
    await check(project, rigged);
  });
}

/** A service `api` that is ready once it prints `up`, and a task `e2e` that needs it. */
export const SERVED = `const api = task('api', { summary: 'a', inputs: ['src/**'], steps: (p) => p.serve([{ name: 'api', argv: named('api'), ready: { log: 'up' } }]) });
const e2e = reader('e2e', { inputs: ['other/**'], needs: { api: api() } });
await main(import.meta, { tasks: [api, e2e] });`;
