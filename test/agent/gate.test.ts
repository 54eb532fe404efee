import { expect, test } from 'vitest';
import { type Agent, Device, textWith } from './client.ts';
import { SERVER, pack, stage, web } from './release.ts';

/** A release of the HTTP service that logs `says` when it starts. */
const release = (says: string, more: object = {}, system: object = {}) =>
  pack(
    { 'server.py': SERVER.replace('print("listening", flush=True)', `print(${JSON.stringify(says)}, flush=True)`) },
    { services: [web(more)], ...system },
  );

const gate = { times: 2, everyMs: 20, withinMs: 2000 };

async function started(agent: Agent, made: ReturnType<typeof release>): Promise<string> {
  const id = await stage(agent, made);
  await agent.ok('link', { path: 'current', target: `releases/${id}`, step: `link-${id}` });
  await agent.ok('service.start', { name: 'web', release: id });
  return id;
}

test('every service answers as the release, several times in a row', async () => {
  const agent = new Device().session();
  const id = await started(agent, release('listening'));
  await agent.ok('release.gate', { release: id, ...gate });
  expect(agent.output).toContain(`web answers as ${id}`);
});

test('one that reports another release is waited for, and then said to be unhealthy', async () => {
  const agent = new Device().session();
  const id = await started(agent, release('listening'));
  const other = await stage(agent, release('another'));
  expect(await agent.fails('release.gate', { release: other, ...gate, withinMs: 100 })).toMatchObject({
    code: 'unhealthy',
    detail: textWith(`web runs from release ${id}`),
  });
});

test('errors in the log, where the release before had none, are a refusal', async () => {
  const agent = new Device().session();
  const quiet = await started(agent, release('all is well', { errors: 'ERROR' }));
  await agent.ok('release.gate', { release: quiet, ...gate });
  await agent.ok('service.stop', { name: 'web' });
  const loud = await started(agent, release('ERROR: no exchange', { errors: 'ERROR' }));
  expect(await agent.fails('release.gate', { release: loud, ...gate })).toMatchObject({ code: 'more-errors' });
});

test('the smoke test of the system decides, too', async () => {
  const agent = new Device().session();
  const smoke = (status: number) => ({
    smoke: {
      argv: ['python3', '-c', `import os, sys; sys.exit(${String(status)} + int(os.environ['ADD']))`],
      env: { ADD: '0' },
    },
  });
  const good = await started(agent, release('a', {}, smoke(0)));
  await agent.ok('release.gate', { release: good, ...gate });
  await agent.ok('service.stop', { name: 'web' });
  const bad = await started(agent, release('b', {}, smoke(3)));
  expect(await agent.fails('release.gate', { release: bad, ...gate })).toMatchObject({
    reason: 'exit-non-zero',
    exitCode: 3,
  });
});
