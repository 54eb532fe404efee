import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect, test } from 'vitest';
import { sha256 } from './release.ts';
import { Agent, aText, BOOTSTRAP, Device, given, nth, PYTHON, SOURCE, textLike, textWith, until } from './client.ts';

test('the source has the grammar of Python 3.8 and uses no shell', () => {
  const check = 'import ast, sys; ast.parse(sys.stdin.read(), feature_version=(3, 8))';
  for (const source of [SOURCE.toString(), BOOTSTRAP]) execFileSync(PYTHON, ['-c', check], { input: source });
  expect(SOURCE.toString()).not.toMatch(/shell=True|os\.system|os\.popen/);
});

test('the bootstrap is short, survives single quotes, and says what is too old', () => {
  expect(BOOTSTRAP.trim().split('\n').length).toBeLessThanOrEqual(30);
  expect(BOOTSTRAP).not.toContain("'");
  const pretend = BOOTSTRAP.replace('import sys\n', 'import sys\nsys.version_info = (3, 6, 9)\n');
  const ran = spawnSync(PYTHON, ['-c', pretend], { input: '' });
  expect([ran.status, ran.stdout.toString()]).toEqual([3, '{"hello": {"tooOld": "3.6.9"}}\n']);
});

test('it greets with what it is and makes the root', async () => {
  const device = new Device();
  const hello = await device.session().hello;
  expect(hello).toEqual({ python: textLike(/^3\.\d+\.\d+/), architecture: aText, system: 'Linux', root: device.root });
  expect(statSync(device.root).mode & 0o777).toBe(0o755);
});

test('~/ is the home folder', async () => {
  const device = new Device();
  const home = dirname(device.root);
  const agent = new Agent('~/x y', {}, [PYTHON, '-c', BOOTSTRAP], { ...process.env, HOME: home });
  expect((await agent.hello).root).toBe(`${home}/x y`);
  expect(await agent.close()).toBe(0);
});

test('a tampered source and an impossible root are failures of the hello', async () => {
  const device = new Device();
  const tampered = device.session({ sha256: '0'.repeat(64) });
  expect((await tampered.hello).failure).toMatchObject({ reason: 'checksum-mismatch', expected: '0'.repeat(64) });
  expect(await tampered.exited).toBe(3);
  writeFileSync(`${dirname(device.root)}/file`, '');
  const nowhere = new Agent(`${dirname(device.root)}/file/root`);
  expect((await nowhere.hello).failure).toMatchObject({ reason: 'device-refused', code: 'root-unwritable' });
  expect(await nowhere.exited).toBe(3);
});

test('a run that is no plain name is refused: it becomes the name of a folder', async () => {
  const agent = new Device().session({ run: '../x' });
  expect((await agent.hello).failure?.code).toBe('bad-request');
});

test('what the source compiles to is kept at the first change, and used while it is whole and nobody else may write it', async () => {
  const device = new Device();
  const path = device.at('state/agent.code');
  const asking = "OPERATIONS['test.kept'] = reads(lambda session, args: KEY is None)\nif __name__ == '__main__':";
  const edit = (source: string): string => source.replace("if __name__ == '__main__':", asking);
  /** One session: whether it ran what an earlier one had compiled. */
  const session = async (changing: boolean): Promise<unknown> => {
    const agent = device.session({ edit });
    if (changing) await agent.ok('write', { path: 'x', content: 'y', step: '1' });
    const kept: unknown = (await agent.ask('test.kept')).value;
    await agent.close();
    return kept;
  };
  expect([await session(false), existsSync(path)]).toEqual([false, false]);
  expect([await session(true), statSync(path).mode & 0o777]).toEqual([false, 0o600]);
  expect(await session(false)).toBe(true);
  const whole = readFileSync(path);
  for (const damaged of [
    whole.subarray(0, 20),
    whole.subarray(0, -1),
    Buffer.concat([whole, Buffer.from('x')]),
    Buffer.alloc(0),
  ]) {
    writeFileSync(path, damaged);
    expect(await session(false)).toBe(false);
  }
  writeFileSync(path, whole);
  chmodSync(path, 0o620);
  expect(await session(false)).toBe(false);
  expect([await session(true), await session(false)]).toEqual([false, true]);
});

test('unknown operations and senseless lines are answered', async () => {
  const agent = new Device().session();
  expect(await agent.fails('no.such')).toMatchObject({ reason: 'device-refused', code: 'unknown-operation' });
  expect(await agent.fails('write', { path: 'x', step: '1' })).toMatchObject({ code: 'bad-request' });
  expect(await agent.ok('read', { path: 'x' })).toBeNull();
  agent.child.stdin.write('nonsense\n');
  expect(await agent.exited).toBe(0);
});

test('a heartbeat is heard at any time, and not answered', async () => {
  const agent = new Device().session();
  let said = '';
  agent.child.stdout.on('data', (text: Buffer) => (said += text.toString()));
  agent.child.stdin.write('{"beat": 1}\n');
  const running = agent.ok('run', { argv: ['echo', 'on'], capture: true });
  agent.child.stdin.write('{"beat": 1}\n');
  expect(await running).toEqual({ stdout: 'on\n' });
  expect(await agent.ok('read', { path: 'x' })).toBeNull();
  expect(said.trim().split('\n')).toHaveLength(4);
  await agent.close();
});

test.each([
  ['SIGTERM', 143],
  ['SIGINT', 130],
  ['SIGHUP', 129],
] as const)('%s ends it like the end of input', async (signal, status) => {
  const device = new Device();
  const agent = device.session();
  const running = agent.ask('run', { argv: ['sleep', '60'] });
  await until(
    'the command runs',
    () => existsSync(device.at('state/commands')) && execFileSync('ls', [device.at('state/commands')]).length > 0,
  );
  agent.child.kill(signal);
  expect((await running).failure).toEqual({ reason: 'cancelled', signal });
  expect(await agent.exited).toBe(status);
});

test('a lock excludes another session, names its holder, and is freed by kill -9', async () => {
  const device = new Device();
  const first = device.session({ run: 'first' });
  const second = device.session({ run: 'second' });
  await first.ok('lock', { name: 'deploy', client: 'anna@laptop' });
  await first.ok('lock', { name: 'deploy', client: 'anna@laptop' });
  const held = await second.fails('lock', { name: 'deploy', client: 'ben@desk' });
  expect(held).toMatchObject({ reason: 'lock-held', name: 'deploy' });
  expect(JSON.parse(given(held.holder))).toMatchObject({ run: 'first', client: 'anna@laptop', pid: first.child.pid });
  expect(JSON.parse(given((await second.ok('release.status')).lock).holder)).toMatchObject({ client: 'anna@laptop' });
  await first.kill();
  await second.ok('lock', { name: 'deploy', client: 'ben@desk' });
  await second.ok('unlock', { name: 'deploy' });
  await second.ok('unlock', { name: 'deploy' });
  expect((await second.ok('release.status')).lock).toBeNull();
  expect(existsSync(device.at('state/lock-deploy'))).toBe(true);
});

test('the journal takes a line a change, after a line that was cut short, and no secret', async () => {
  const device = new Device();
  const agent = device.session();
  await agent.ok('write', { path: 'shared/secrets.env', content: 'KEY=hunter2\n', mode: 0o600, step: 'a/1' });
  writeFileSync(device.at('state/journal.jsonl'), `${device.read('state/journal.jsonl')}{"at": "2026-`);
  await agent.ok('run', { argv: ['true'], env: { TOKEN: 'hunter2' } });
  await agent.fails('run', { argv: ['sh', '-c', 'echo $TOKEN; exit 3'], env: { TOKEN: 'hunter2' } });
  const lines = device.read('state/journal.jsonl').split('\n');
  expect(lines).toHaveLength(5);
  const parsed = [0, 2, 3].map(
    (index) =>
      JSON.parse(nth(lines, index)) as { run: string; op: string; outcome: unknown; args: { contentSha256: string } },
  );
  expect(parsed.map((line) => [line.run, line.op, line.outcome])).toEqual([
    ['run-1', 'write', 'ok'],
    ['run-1', 'run', 'ok'],
    ['run-1', 'run', { reason: 'exit-non-zero', exitCode: 3 }],
  ]);
  expect(nth(parsed, 0).args.contentSha256).toMatch(/^[0-9a-f]{64}$/);
  expect(device.read('state/journal.jsonl')).not.toContain('hunter2');
  expect(statSync(device.at('state/journal.jsonl')).mode & 0o777).toBe(0o600);
});

test('disk full: the operation fails with ENOSPC and what was there stays', async (context) => {
  const device = new Device();
  mkdirSync(device.root);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', device.root]);
  if (mounted.status !== 0) return context.skip('a tmpfs cannot be mounted here');
  try {
    const agent = device.session();
    await agent.ok('write', { path: 'kept', content: 'before', step: 's1' });
    const big = 'x'.repeat(2 * 1024 * 1024);
    expect(await agent.fails('write', { path: 'kept', content: big, step: 's2' })).toMatchObject({
      reason: 'file-system',
      code: 'ENOSPC',
      operation: 'write',
    });
    expect(device.read('kept')).toBe('before');
    const body = Buffer.from(big);
    const digest = sha256(body);
    expect(await agent.fails('upload.put', { blobs: [[digest, body.length]] }, body)).toMatchObject({
      reason: 'file-system',
      code: 'ENOSPC',
    });
    expect(readdirSync(device.at('blobs'))).toEqual([]);
    await agent.ok('restore', { path: 'kept', saved: 's1' });
    expect(existsSync(device.at('kept'))).toBe(false);
    await agent.close();
  } finally {
    spawnSync('umount', ['-l', device.root]);
  }
});

test('facts: platforms best first', async () => {
  const facts = await new Device().session().ok('device.facts');
  expect(facts.python).toMatch(/^3\.\d+$/);
  expect(facts.wheelPlatforms.at(-1)).toBe(`manylinux2014_${facts.architecture}`);
  expect(facts.wheelPlatforms[0]).toMatch(/^manylinux_2_\d+_/);
});

test('room: bytes, inodes and memory', async () => {
  const device = new Device();
  const agent = device.session({ rehearsal: true });
  const services = [
    { name: 'a', memoryMb: 300 },
    { name: 'b', memoryMb: 200 },
  ];
  const ask = { bytes: 1000, files: 3, services, reservedMb: 100, boardMb: 600 };
  expect(await agent.ok('device.room', ask)).toMatchObject({ memoryMb: 600, enough: true, short: '' });
  const little = await agent.ok('device.room', { ...ask, boardMb: 599 });
  expect(little).toMatchObject({
    enough: false,
    short: '599 MB of memory, 600 MB needed by the services and what is reserved',
  });
  const huge = await agent.ok('device.room', { ...ask, bytes: 1e15 });
  expect([huge.enough, huge.short]).toEqual([false, textWith('of disk free')]);
  const real = await device.session().ok('device.room', ask);
  expect(real.memoryMb).toBe(
    Math.floor(Number(given(/MemTotal: +(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8')))[1]) / 1024),
  );
});
