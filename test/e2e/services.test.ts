import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { until } from '../device/poll.ts';
import { dialled, SERVED } from './dialled.ts';

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test('a task runs while what it needs is up, and nothing is left then', () =>
  dialled(SERVED, async (project, rigged) => {
    const running = project.start(['e2e']);
    const api = await rigged.started('api');
    expect(rigged.count('e2e')).toBe(0);
    api.print('up\n');
    (await rigged.started('e2e')).exit(0);
    await api.gone;
    const { status, stdout } = await running.ended;
    expect(status).toBe(0);
    expect(stdout).toMatch(/^api +│ ↩ changes here: stop service api$/m);
    expect(stdout).toMatch(/^2 done · /m);
    // It was no failure that ended the service.
    expect(stdout).not.toContain('put back');
    expect(project.processes()).toEqual([]);
  }));

test('a task that is fresh starts nothing, and nothing is missed', () =>
  dialled(SERVED.replace("inputs: ['other/**'],", "inputs: ['other/**'], outputs: [],"), async (project, rigged) => {
    const running = project.start(['e2e']);
    (await rigged.started('api')).print('up\n');
    (await rigged.started('e2e')).exit(0);
    expect(await running.ended).toMatchObject({ status: 0 });
    const { status, stdout } = await project.run(['e2e']);
    expect([status, rigged.count('api')]).toEqual([0, 1]);
    expect(stdout).toMatch(/^1 fresh · /m);
    expect(stdout).not.toContain('not run');
  }));

test('a service that dies ends who needs it, with why', () =>
  dialled(SERVED, async (project, rigged) => {
    const running = project.start(['e2e']);
    const api = await rigged.started('api');
    api.print('up\nout of memory\n');
    const e2e = await rigged.started('e2e');
    api.exit(9);
    await e2e.gone;
    const { status, stdout } = await running.ended;
    expect(status).toBe(1);
    for (const task of ['api', 'e2e'])
      expect(stdout).toMatch(
        new RegExp(`^${task} failed: the service api ended with status 9 though it should keep running$`, 'm'),
      );
    expect(stdout).toContain('out of memory');
  }));

test('a goal that stands for services says once that they are up and where, and ends with them', async () => {
  const more = `const web = task('web', { summary: 'w', needs: { api: api() }, steps: (p) => p.serve([{ name: 'web', argv: named('web'), port: PORT, ready: 'http://127.0.0.1:PORT/health' }]) });
const dev = task('dev', { summary: 'd', needs: { web: web() } });
await main(import.meta, { tasks: [dev] });`;
  const port = String(await freePort());
  const body = SERVED.replace(/await main.*/, more.replaceAll('PORT', port));
  await dialled(body, async (project, rigged) => {
    const running = project.start(['dev']);
    (await rigged.started('api')).print('up\n');
    const web = await rigged.started('web');
    expect(running.text()).not.toMatch(/^dev/m);
    await web.serve(Number(port));
    const up = `dev │ up: api, web http://127.0.0.1:${port}/; Ctrl-C ends\n`;
    await until('it is up', () => running.text().includes(up));
    running.child.kill('SIGINT');
    const { status, stdout } = await running.ended;
    expect(status).toBe(130);
    expect(stdout.match(/^dev .*/gm)).toEqual([up.trim(), expect.stringMatching(/^dev │ cancelled · /)]);
  });
});

test('a port that is taken is named before anything starts', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, resolve));
  const { port } = other.address() as AddressInfo;
  try {
    await dialled(SERVED.replace('ready:', `port: ${String(port)}, ready:`), async (project, rigged) => {
      const { status, stdout } = await project.run(['e2e']);
      expect(status).toBe(1);
      expect(stdout).toContain(`api failed: port ${String(port)}, which api needs, is taken\n`);
      expect([rigged.count('api'), rigged.count('e2e')]).toEqual([0, 0]);
    });
  } finally {
    other.close();
  }
});

test('a timeout of 0 is a mistake, found before anything runs', () =>
  dialled(SERVED.replace('ready:', 'readyTimeoutMs: 0, ready:'), async (project) => {
    expect(await project.run(['e2e'])).toMatchObject({
      status: 2,
      stderr:
        'slipway: the service api declares a timeout of 0 ms, which would be over before it began\n' +
        '  give a time in ms above 0, or leave it out\n',
    });
    expect(project.runs()).toEqual([]);
  }));
