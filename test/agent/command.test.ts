import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Device, listWith, PYTHON, runs, until } from './client.ts';

const pidIn = (path: string): number => (existsSync(path) ? Number(readFileSync(path, 'utf8').trim()) : 0);

test('a command has its argv as it stands, a clean environment, and no standard input', async () => {
  const agent = new Device().session();
  const code =
    'import json, os, sys; print(json.dumps([sys.argv[1:], sorted(os.environ), sys.stdin.read(), os.getsid(0) == os.getpid()]))';
  const { stdout } = await agent.ok('run', {
    argv: [PYTHON, '-c', code, '-x', 'a b', '$HOME', '*\n'],
    env: { MINE: '1' },
    capture: true,
  });
  const [argv, env, stdin, ownSession] = JSON.parse(stdout) as [string[], string[], string, boolean];
  expect(argv).toEqual(['-x', 'a b', '$HOME', '*\n']);
  expect(env.filter((name) => name !== 'LC_CTYPE')).toEqual(['HOME', 'LANG', 'MINE', 'PATH']);
  expect([stdin, ownSession]).toEqual(['', true]);
});

test('output is streamed in bounded messages, and captured only when asked', async () => {
  const agent = new Device().session();
  const { stdout } = await agent.ok('run', { argv: ['python3', '-c', 'print("é" * 50000)'] });
  expect(stdout).toBe('');
  expect(agent.output).toBe(`${'é'.repeat(50_000)}\n`);
  expect(await agent.fails('run', { argv: ['python3', '-c', 'print("x" * 1048577)'], capture: true })).toMatchObject({
    code: 'output-too-long',
  });
});

test('cwd, okExits, and how commands fail', async () => {
  const device = new Device();
  const agent = device.session();
  await agent.ok('write', { path: 'sub/file', content: '', step: '1' });
  expect(await agent.ok('run', { argv: ['pwd'], cwd: 'sub', capture: true })).toEqual({
    stdout: `${device.at('sub')}\n`,
  });
  expect(await agent.ok('run', { argv: ['sh', '-c', 'exit 5'], okExits: [0, 5] })).toEqual({ stdout: '' });
  expect(await agent.fails('run', { argv: ['sh', '-c', 'echo one; echo two >&2; exit 3'] })).toEqual({
    reason: 'exit-non-zero',
    command: "sh -c 'echo one; echo two >&2; exit 3'",
    exitCode: 3,
    tail: listWith('one', 'two'),
  });
  expect(await agent.fails('run', { argv: ['sh', '-c', 'kill -USR1 $$'] })).toMatchObject({
    reason: 'killed-by-signal',
    signal: 'SIGUSR1',
  });
  expect(await agent.fails('run', { argv: ['no-such-command'] })).toEqual({
    reason: 'command-not-found',
    command: 'no-such-command',
  });
  expect(await agent.fails('run', { argv: ['ls'], cwd: 'no/folder' })).toMatchObject({
    reason: 'file-system',
    code: 'ENOENT',
    path: 'no/folder',
  });
  expect(await agent.fails('run', { argv: [] })).toMatchObject({ code: 'bad-request' });
});

test('a command that takes too long is ended with everything that it started', async () => {
  const device = new Device();
  const agent = device.session();
  const argv = ['sh', '-c', 'trap "" TERM; sleep 60 & echo $! > child; wait; while :; do sleep 1; done'];
  expect(await agent.fails('run', { argv, timeoutMs: 300, graceMs: 100 })).toMatchObject({
    reason: 'timed-out',
    timeoutMs: 300,
  });
  expect(runs(pidIn(device.at('child')))).toBe(false);
});

test('cancel: TERM, and KILL after the grace time for one that ignores it', async () => {
  const device = new Device();
  const agent = device.session();
  const stubborn =
    'import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open("pid", "w").write(str(os.getpid())); time.sleep(60)';
  const asked = agent.ask('run', { argv: ['python3', '-c', stubborn], graceMs: 200 });
  await until('it runs', () => pidIn(device.at('pid')) > 0);
  agent.cancel(asked.id);
  expect((await asked).failure).toEqual({ reason: 'cancelled', signal: 'SIGTERM' });
  expect(runs(pidIn(device.at('pid')))).toBe(false);
  agent.cancel(asked.id);
  expect(await agent.ok('run', { argv: ['echo', 'still here'], capture: true })).toEqual({ stdout: 'still here\n' });
});

test('cancel: one that ends politely has its grace time', async () => {
  const device = new Device();
  const agent = device.session();
  const asked = agent.ask('run', {
    argv: ['sh', '-c', 'trap "echo tidied; exit 0" TERM; echo ready; while :; do sleep 0.02; done'],
  });
  await until('it runs', () => agent.output.includes('ready'));
  agent.cancel(asked.id);
  expect((await asked).failure).toMatchObject({ reason: 'cancelled' });
  expect(agent.output).toContain('tidied');
});

test('an operation that waits in the queue can be cancelled, too', async () => {
  const device = new Device();
  const agent = device.session();
  const first = agent.ask('run', { argv: ['sh', '-c', 'while ! [ -e go ]; do sleep 0.02; done'] });
  const second = agent.ask('write', { path: 'never', content: '', step: '1' });
  agent.cancel(second.id);
  await agent.hello;
  writeFileSync(device.at('go'), '');
  expect((await first).ok).toBe(true);
  expect((await second).failure).toMatchObject({ reason: 'cancelled' });
  expect(existsSync(device.at('never'))).toBe(false);
});

test('what a command leaves in the background ends with it', async () => {
  const device = new Device();
  const agent = device.session();
  await agent.ok('run', { argv: ['sh', '-c', 'sleep 60 & echo $! > child'] });
  expect(runs(pidIn(device.at('child')))).toBe(false);
});

test('the end of input ends a running command and the agent', async () => {
  const device = new Device();
  const agent = device.session();
  void agent.ask('run', { argv: ['sh', '-c', 'echo $$ > pid; sleep 60'] });
  await until('it runs', () => pidIn(device.at('pid')) > 0);
  expect(await agent.close()).toBe(0);
  expect(runs(pidIn(device.at('pid')))).toBe(false);
});

test('what a killed agent left running is ended by the next session, before it greets', async () => {
  const device = new Device();
  const agent = device.session();
  void agent.ask('run', {
    argv: ['sh', '-c', 'trap "" TERM HUP; sleep 60 & echo $! > child; echo $$ > pid; wait; sleep 60'],
  });
  await until('it runs', () => pidIn(device.at('pid')) > 0);
  await agent.kill();
  const pids = [pidIn(device.at('pid')), pidIn(device.at('child'))];
  expect(pids.map(runs)).toEqual([true, true]);
  await device.session().hello;
  expect(pids.map(runs)).toEqual([false, false]);
});

test('another living session does not end what this one runs', async () => {
  const device = new Device();
  const agent = device.session();
  const asked = agent.ask('run', { argv: ['sh', '-c', 'echo $$ > pid; while ! [ -e go ]; do sleep 0.02; done'] });
  await until('it runs', () => pidIn(device.at('pid')) > 0);
  await device.session().hello;
  expect(runs(pidIn(device.at('pid')))).toBe(true);
  writeFileSync(device.at('go'), '');
  expect((await asked).ok).toBe(true);
});
