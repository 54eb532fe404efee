import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { type Agent, aText, Device, nth, runs, textLike, textWith, until } from './client.ts';
import { activate, pack, stage, STUBBORN, web, webRelease } from './release.ts';

const start = (agent: Agent, name: string, release: string | null): Promise<unknown> =>
  agent.ok('service.start', { name, release });

/** Listens on a port; with 0, on one that is free. */
async function listen(port: number): Promise<number> {
  const server = createServer().listen(port, '127.0.0.1');
  onTestFinished(() => void server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  return (server.address() as AddressInfo).port;
}

test('a service runs on after the session, answers as its release, and stops whole', async () => {
  const device = new Device();
  const agent = device.session();
  const release = webRelease();
  await activate(agent, release);
  await start(agent, 'web', release.id);
  const record = device.service('web');
  expect(record).toMatchObject({
    name: 'web',
    release: release.id,
    started: aText,
    argv: [textWith('python'), 'server.py', String(record.port)],
  });
  await agent.close();
  const next = device.session();
  await start(next, 'web', release.id);
  expect(device.service('web').pid).toBe(record.pid);
  expect(await next.ok('release.health', { release: release.id })).toEqual({
    healthy: true,
    detail: `1 of 1 services answer as ${release.id}`,
  });
  const status = await next.ok('release.status');
  expect(status).toMatchObject({
    current: release.id,
    state: 'confirmed',
    previous: null,
    intact: true,
    running: ['web'],
    lock: null,
  });
  expect(status.services).toEqual([
    { name: 'web', state: 'running', release: release.id, pid: record.pid, port: record.port, public: false },
  ]);
  expect(execFileSync('ls', [device.at('releases', release.id)]).toString()).toBe('note.txt\nserver.py\n');
  await next.ok('service.stop', { name: 'web' });
  await next.ok('service.stop', { name: 'web' });
  expect([runs(record.pid), existsSync(device.at('run/web.json'))]).toEqual([false, false]);
  expect(nth((await next.ok('release.status')).services, 0).state).toBe('stopped');
});

test('environment, texts, working folder, limits and log of a service', async () => {
  const device = new Device();
  const agent = device.session({ publicPort: 18_080, rehearsal: true });
  const code =
    'import json, os, resource; print(json.dumps([dict(os.environ), os.getcwd(), resource.getrlimit(resource.RLIMIT_CORE)]), flush=True); import time; time.sleep(60)';
  const services = [
    web({ listens: 'public' }),
    {
      name: 'env',
      argv: ['python3', 'env.py'],
      memoryMb: 1,
      env: {
        URL: ['http://127.0.0.1:', { port: 'web' }, '/'],
        DATA: { path: 'data' },
        SECRETS: { path: 'secrets' },
        HERE: [{ path: 'release' }, '/x'],
      },
    },
  ];
  const id = await stage(agent, pack({ 'env.py': code }, { services }));
  await start(agent, 'env', id);
  await until('it printed', () => device.read('logs/env.log').includes('\n'));
  const [env, cwd, core] = JSON.parse(nth(device.read('logs/env.log').split('\n'), 0)) as [object, string, number[]];
  expect(env).toMatchObject({
    RELEASE_ID: id,
    URL: 'http://127.0.0.1:18080/',
    DATA: device.at('shared/data'),
    SECRETS: device.at('shared/secrets.env'),
    HERE: device.at('releases', id, 'x'),
  });
  expect(
    Object.keys(env)
      .filter((name) => !/^(PATH|HOME|LANG|LC_CTYPE|PYTHONPYCACHEPREFIX|SLIPWAY_SERVICE|PYENV_.*)$/.test(name))
      .sort(),
  ).toEqual(['DATA', 'HERE', 'RELEASE_ID', 'SECRETS', 'URL']);
  expect([cwd, core]).toEqual([device.at('releases', id), [0, 0]]);
  expect([statSync(device.at('logs/env.log')).mode & 0o777, statSync(device.at('shared/data')).mode & 0o777]).toEqual([
    0o600, 0o700,
  ]);
});

test('ports are chosen free once, kept, below the ephemeral range, and never 8000 or 5173', async () => {
  const device = new Device();
  const release = webRelease('', {}, [web({ name: 'other', argv: ['python3', 'server.py', { port: 'other' }] })]);
  const agent = device.session();
  await stage(agent, release);
  await start(agent, 'web', release.id);
  await start(agent, 'other', release.id);
  const ports = device.json<{ readonly [service: string]: number }>('state/ports.json');
  expect(new Set(Object.values(ports)).size).toBe(2);
  for (const port of Object.values(ports)) expect(port > 8000 && port < 32_768).toBe(true);
  await agent.ok('stop-all');
  await start(device.session(), 'web', release.id);
  expect(device.service('web').port).toBe(ports.web);
});

test('what a release does not declare, and null, are not started', async () => {
  const agent = new Device().session();
  const id = await stage(agent, webRelease());
  await start(agent, 'web', null);
  await start(agent, 'unknown', id);
  expect((await agent.ok('release.status')).running).toEqual([]);
  expect((await agent.ok('release.health', { release: id })).healthy).toBe(false);
  expect(await agent.fails('service.start', { name: 'web', release: '0'.repeat(16) })).toMatchObject({
    code: 'no-such-release',
  });
});

test('status and known say what is public, and the order in which to start', async () => {
  const device = new Device();
  const agent = device.session();
  const release = webRelease('', { listens: 'public', after: ['base'] }, [
    { name: 'base', argv: ['sleep', '60'], memoryMb: 1 },
  ]);
  await activate(agent, release);
  expect((await agent.ok('release.status')).services).toMatchObject([
    { name: 'base', public: false },
    { name: 'web', state: 'stopped', public: true },
  ]);
  expect(await agent.ok('release.known', { release: release.id })).toEqual({
    present: true,
    confirmed: true,
    services: ['base', 'web'],
  });
});

test('a crash at the start: its status and last words, and nothing stays', async () => {
  const device = new Device();
  const agent = device.session();
  const services = [
    { name: 'bad', argv: ['sh', '-c', 'sleep 60 & echo $! > ../../child; echo wrong setting; exit 7'], memoryMb: 1 },
    { name: 'none', argv: ['./missing'], memoryMb: 1 },
  ];
  const id = await stage(agent, pack({ a: '' }, { services }));
  const failure = await agent.fails('service.start', { name: 'bad', release: id });
  expect(failure).toMatchObject({
    reason: 'device-refused',
    code: 'service-ended',
    detail: 'bad ended with exit status 7 before it was ready\nwrong setting',
  });
  expect(runs(Number(device.read('child')))).toBe(false);
  expect(await agent.fails('service.start', { name: 'none', release: id })).toEqual({
    reason: 'command-not-found',
    command: './missing',
  });
  expect(existsSync(device.at('run/bad.json')) || existsSync(device.at('run/none.json'))).toBe(false);
});

test('one that ends later is seen as failed, not as running', async () => {
  const device = new Device();
  const agent = device.session();
  const release = webRelease();
  await activate(agent, release);
  await start(agent, 'web', release.id);
  process.kill(device.service('web').pid, 'SIGKILL');
  await until('it is seen', async () => nth((await agent.ok('release.status')).services, 0).state === 'failed');
  expect(await agent.ok('release.status')).toMatchObject({ intact: false, running: [] });
  // Nobody starts it again, so that waiting for its health is in vain.
  expect(await agent.fails('release.health', { release: release.id })).toMatchObject({
    code: 'service-ended',
    detail: textLike(/^web ended.* after it was ready/),
  });
  await start(agent, 'web', release.id);
  expect((await agent.ok('release.status')).intact).toBe(true);
});

test('a port in use is refused, with its holder', async () => {
  const device = new Device();
  const port = await listen(0);
  const agent = device.session({ publicPort: port });
  const id = await stage(agent, webRelease('', { listens: 'public' }));
  expect(await agent.fails('service.start', { name: 'web', release: id })).toMatchObject({
    code: 'port-in-use',
    detail: `port ${String(port)} of web is in use by process ${String(process.pid)}`,
  });
});

test('never in two releases at once', async () => {
  const device = new Device();
  const agent = device.session();
  const [one, two] = [webRelease('one', { singleton: true }), webRelease('two', { singleton: true })];
  await stage(agent, one);
  await stage(agent, two);
  await start(agent, 'web', one.id);
  expect(await agent.fails('service.start', { name: 'web', release: two.id })).toMatchObject({
    code: 'still-running',
    detail: textWith(one.id),
  });
  expect(await agent.ok('release.health', { release: two.id })).toEqual({
    healthy: false,
    detail: `web runs from release ${one.id}`,
  });
  expect(await agent.fails('release.discard', { release: one.id })).toMatchObject({ code: 'still-running' });
  await agent.ok('service.stop', { name: 'web' });
  await start(agent, 'web', two.id);
});

test('stop ends one that ignores TERM and its child in another session', async () => {
  const device = new Device();
  const agent = device.session();
  const services = [
    {
      name: 'stubborn',
      argv: ['python3', 's.py'],
      env: { PIDS: [{ path: 'data' }, '/pids'] },
      memoryMb: 1,
      graceMs: 200,
    },
  ];
  const id = await stage(agent, pack({ 's.py': STUBBORN }, { services }));
  await start(agent, 'stubborn', id);
  const path = device.at('shared/data/pids');
  const pids = (): number[] => readFileSync(path, 'utf8').trim().split('\n').map(Number);
  await until('both run', () => existsSync(path) && pids().length === 2);
  process.kill(nth(pids(), 0), 'SIGSTOP');
  await agent.ok('service.stop', { name: 'stubborn' });
  expect(pids().map(runs)).toEqual([false, false]);
});

test('strays without a record are found by their mark, and stopped', async () => {
  const device = new Device();
  const agent = device.session();
  const release = webRelease();
  await activate(agent, release);
  await start(agent, 'web', release.id);
  const { pid } = device.service('web');
  execFileSync('rm', [device.at('run/web.json')]);
  const status = await agent.ok('release.status');
  expect(status).toMatchObject({ intact: false, running: ['web'] });
  expect(status.services).toEqual([
    { name: 'web', state: 'running', release: release.id, pid, port: null, public: false },
  ]);
  expect(await agent.fails('service.start', { name: 'web', release: release.id })).toMatchObject({
    code: 'still-running',
  });
  await agent.ok('service.stop', { name: 'web' });
  expect(runs(pid)).toBe(false);
});

test('a pid that was given to another process is left alone', async () => {
  const device = new Device();
  const agent = device.session();
  await agent.ok('write', { path: 'run/web.json', content: '', step: '1' });
  writeFileSync(
    device.at('run/web.json'),
    JSON.stringify({
      name: 'web',
      release: '0'.repeat(16),
      pid: process.pid,
      started: 'other-1',
      argv: [],
      port: null,
      phase: 'ready',
    }),
  );
  expect((await agent.ok('release.status')).running).toEqual([]);
  await agent.ok('service.stop', { name: 'web' });
  expect(existsSync(device.at('run/web.json'))).toBe(false);
});

test('after a boot of a container, whose kernel goes on, no session is taken for an earlier one of its number', async () => {
  const stat = readFileSync('/proc/1/stat', 'utf8');
  const first = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
  const kernel = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8);
  const device = new Device();
  const agent = device.session();
  await agent.ok('write', { path: 'run/web.json', content: '', step: '1' });
  const leader = spawn('sh', ['-c', 'exec 3>&1 >&-; sleep 300 3>&- & echo $! >&3'], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [text] = (await once(leader.stdout, 'data')) as [Buffer];
  const member = Number(text.toString());
  await until('the leader ended', () => !runs(leader.pid ?? 0));
  const stopOf = async (boot: string): Promise<boolean> => {
    const started = `${kernel}.${boot}-1`;
    const record = { name: 'web', release: '0'.repeat(16), pid: leader.pid, started, argv: [], port: null };
    writeFileSync(device.at('run/web.json'), JSON.stringify({ ...record, phase: 'ready' }));
    await agent.ok('service.stop', { name: 'web' });
    return runs(member);
  };
  // One that is longer by a digit, too: a name that begins with this boot's is another name.
  for (const boot of [String(first + 1), `${String(first)}0`]) expect(await stopOf(boot)).toBe(true);
  expect(await stopOf(String(first))).toBe(false);
});

test('health tells another release from this one; the stop order is the start order backwards', async () => {
  const device = new Device();
  const agent = device.session();
  const release = webRelease('', { health: { path: '/health', release: 'version' }, after: ['base'] }, [
    { name: 'base', argv: ['sleep', '60'], memoryMb: 1 },
  ]);
  await activate(agent, release);
  await start(agent, 'base', release.id);
  await start(agent, 'web', release.id);
  expect(await agent.ok('release.health', { release: release.id })).toEqual({
    healthy: false,
    detail: 'web: reports release None',
  });
  const status = await agent.ok('release.status');
  expect([status.running, status.intact]).toEqual([['web', 'base'], false]);
  expect(await agent.ok('stop-all')).toEqual({ stopped: ['web', 'base'] });
});

test('a cancelled start leaves no process', async () => {
  const device = new Device();
  const agent = device.session();
  const id = await stage(agent, pack({ a: '' }, { services: [web({ argv: ['sleep', '60'] })] }));
  const asked = agent.ask('service.start', { name: 'web', release: id });
  await until('it was spawned', () => existsSync(device.at('run/web.json')));
  const { pid } = device.service('web');
  agent.cancel(asked.id);
  expect((await asked).failure).toMatchObject({ reason: 'cancelled' });
  expect([runs(pid), existsSync(device.at('run/web.json'))]).toEqual([false, false]);
});
