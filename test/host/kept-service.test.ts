import { createServer, type AddressInfo, type Server } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { commands, type Commands } from '../rig/commands.ts';
import { lives, rig, step, until, type Rig } from './rig.ts';

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.end()).listen(port, () => resolve(server));
    server.once('error', reject);
    onTestFinished(() => void server.close());
  });
}

async function freePort(): Promise<number> {
  const server = await listen(0);
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts a service of the task `t`; what became of that. */
async function start(r: Rig, rigged: Commands, name: string, more: object = {}): Promise<unknown> {
  const spec = { argv: rigged.argv(name), ...more };
  const performed = await r.host.perform(step('service', { operation: 'start', name, spec }), r.performing);
  return performed.ok ? null : performed.failure;
}

/** Whether it is settled by now. */
function settles(promise: Promise<unknown>): () => boolean {
  let over = false;
  void promise.then(() => (over = true));
  return () => over;
}

test('a pattern that two writes cut apart is found, colours aside', async () => {
  const [r, rigged] = [rig(), await commands()];
  const started = start(r, rigged, 'web', { ready: { log: '^ready on \\d+$' } });
  const web = await rigged.started('web');
  const over = settles(started);
  web.print('not ready on 1\nrea');
  await until('the first half', () => r.shown().endsWith('rea'));
  expect(over()).toBe(false);
  web.print('dy on \u001b[32m80');
  expect(await started).toBe(null);
});

test('a line ends where the carriage returns, too', async () => {
  const r = rig();
  for (const [name, printed] of [
    ['dos', 'starting\r\nserver ready\r\n'],
    ['progress', 'ready at 1 %\rserver ready'],
  ] as const) {
    const rigged = await commands();
    const started = start(r, rigged, name, { ready: { log: '^server ready$' } });
    (await rigged.started(name)).print(printed);
    expect(await started).toBe(null);
  }
});

test('one that a signal ends says which', async () => {
  const [r, rigged] = [rig(), await commands()];
  const started = start(r, rigged, 'web', { ready: { log: 'ready' } });
  const web = await rigged.started('web');
  web.print('ready\n');
  expect(await started).toBe(null);
  const ended = r.host.serviceEnded('t', r.performing);
  process.kill(web.pid, 'SIGKILL');
  expect(await ended).toMatchObject({ reason: 'service-ended', exitCode: null, signal: 'SIGKILL' });
});

test('a pattern is found although a mask holds the end of the line back', async () => {
  const r = rig({ secrets: { A: 'ready-or-not' } });
  const rigged = await commands();
  const started = start(r, rigged, 'web', { ready: { log: 'is ready' } });
  (await rigged.started('web')).print('it is ready');
  expect(await started).toBe(null);
});

test('it is ready once its port takes connections, or a command ends well', async () => {
  const [r, rigged, port] = [rig(), await commands(), await freePort()];
  const tcp = start(r, rigged, 'web', { port, ready: { tcp: port } });
  const over = settles(tcp);
  const web = await rigged.started('web');
  expect(over()).toBe(false);
  await web.serve(port);
  expect(await tcp).toBe(null);

  const byCommand = start(r, rigged, 'db', { ready: { command: rigged.argv('ask') } });
  (await rigged.started('ask')).exit(1);
  (await rigged.started('ask')).exit(0);
  expect(await byCommand).toBe(null);
  expect(r.shown()).toBe('');
});

test.each([
  [{ log: 'never' }, 'web prints a line with never', 'still busy'],
  [{ tcp: 1 }, 'web takes connections on port 1', 'nobody listens there'],
  [{ command: ['sh', '-c', 'exit 3'] }, 'web is ready, says sh -c exit 3', 'status 3'],
])('not ready in time by %j: what was waited for, and seen last', async (ready, what, last) => {
  const [r, rigged] = [rig(), await commands()];
  const started = start(r, rigged, 'web', { ready, readyTimeoutMs: 3_000 });
  const web = await rigged.started('web');
  web.print('still busy\n');
  expect(await started).toEqual({ reason: 'not-in-time', what, timeoutMs: 3_000, last });
  await web.gone;
});

test('a service that loses the race for its port says so, not what it died of', async () => {
  const [r, rigged, port] = [rig(), await commands(), await freePort()];
  const started = start(r, rigged, 'web', { port, ready: { log: 'ready' } });
  const web = await rigged.started('web');
  await listen(port);
  web.exit(1);
  expect(await started).toEqual({ reason: 'port-in-use', port, service: 'web' });
});

test('it is started again as often as it says, says so, and then has ended', async () => {
  const [r, rigged] = [rig(), await commands()];
  const restart = { times: 2, backoffMs: 1, resetAfterMs: 60_000 };
  const started = start(r, rigged, 'web', { ready: { log: 'ready' }, restart });
  const first = await rigged.started('web');
  first.print('ready\n');
  expect(await started).toBe(null);
  const ended = r.host.serviceEnded('t', r.performing);
  first.exit(7);
  const second = await rigged.started('web');
  second.print('ready\n');
  second.exit(0);
  (await rigged.started('web')).exit(9);
  expect(await ended).toEqual({ reason: 'service-ended', service: 'web', exitCode: 9, tail: [] });
  expect(rigged.count('web')).toBe(3);
  expect(r.shown('stderr')).toBe(
    'web ended with status 7: it is started again in 0.001 s (1 of 2)\n' +
      'web ended with status 0: it is started again in 0.002 s (2 of 2)\n',
  );
});

test('after it ran well the count begins anew', async () => {
  const [r, rigged] = [rig(), await commands()];
  const started = start(r, rigged, 'web', { restart: { times: 1, backoffMs: 1, resetAfterMs: 0.001 } });
  for (let times = 0; times < 4; times++) (await rigged.started('web')).exit(1);
  expect(await started).toBe(null);
  await rigged.started('web');
  expect(r.shown('stderr').match(/\(1 of 1\)/g)).toHaveLength(4);
});

test('one that never was ready is not started again', async () => {
  const [r, rigged] = [rig(), await commands()];
  const started = start(r, rigged, 'web', { ready: { log: 'ready' }, restart: { times: 5, backoffMs: 1 } });
  (await rigged.started('web')).exit(4);
  expect(await started).toMatchObject({ reason: 'service-ended', exitCode: 4 });
  expect(rigged.count('web')).toBe(1);
});

test('stopping ends a service that is about to be started again', async () => {
  const [r, rigged] = [rig(), await commands()];
  expect(await start(r, rigged, 'web', { restart: { times: 5, backoffMs: 60_000 } })).toBe(null);
  (await rigged.started('web')).exit(1);
  await until('the rest', () => r.shown().includes('started again in 60 s'));
  await r.host.perform(step('service', { operation: 'stop', name: 'web', spec: {} }), r.performing);
  expect(rigged.count('web')).toBe(1);
});

test('what is lost to somebody else on the way is not fought for', async () => {
  const [r, rigged, port] = [rig(), await commands(), await freePort()];
  const restart = { times: 50, backoffMs: 1 };
  const started = start(r, rigged, 'web', { port, ready: { log: 'ready' }, restart });
  const web = await rigged.started('web');
  web.print('ready\n');
  expect(await started).toBe(null);
  await listen(port);
  web.exit(1);
  expect(await r.host.serviceEnded('t', r.performing)).toEqual({ reason: 'port-in-use', port, service: 'web' });
});

test('a service starts once those that it comes after are ready; they stop last first', async () => {
  const [r, rigged] = [rig(), await commands()];
  const web = start(r, rigged, 'web', { after: ['db'], ready: { log: 'ready' } });
  const db = start(r, rigged, 'db', { ready: { log: 'ready' } });
  const theDb = await rigged.started('db');
  expect(rigged.count('web')).toBe(0);
  theDb.print('ready\n');
  expect(await db).toBe(null);
  const theWeb = await rigged.started('web');
  theWeb.print('ready\n');
  expect(await web).toBe(null);
  const order: string[] = [];
  void theDb.gone.then(() => order.push('db'));
  void theWeb.gone.then(() => order.push('web'));
  await r.host.close();
  await Promise.all([theDb.gone, theWeb.gone]);
  expect(order).toEqual(['web', 'db']);
  expect([theWeb, theDb].map(({ pid }) => lives(pid))).toEqual([false, false]);
});
