import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { dialled, SERVED } from './dialled.ts';

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
