import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ssh2, { type ClientChannel } from 'ssh2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startRehearsalDevice, type RehearsalDevice } from '../../lib/rehearsal/device.ts';
import { rehearsalRoot } from '../../lib/rehearsal/root.ts';
import { until } from '../device/poll.ts';
import { command, failureIn, performerFor, performing, rigEnded, valueIn } from '../device/rig.ts';
import { temporary } from '../device/temporary.ts';

describe('the rehearsal device', () => {
  const folder = temporary('rehearsal');
  const slipwayDir = join(folder.path, '.slipway');
  let rehearsal: RehearsalDevice;
  beforeAll(async () => {
    rehearsal = await startRehearsalDevice({ slipwayDir, name: 'rehearsal', graceMs: 500 });
  });
  afterAll(async () => {
    await rigEnded();
    await rehearsal.close();
    folder.remove();
  });

  const client = async (more: Partial<ssh2.ConnectConfig> = {}): Promise<ssh2.Client> => {
    const { host, port, user, key } = rehearsal.device;
    const connection = new ssh2.Client();
    await new Promise<void>((resolve, reject) => {
      connection.once('ready', resolve).once('error', reject);
      connection.connect({ host, port: port ?? 0, username: user ?? '', privateKey: readFileSync(key ?? ''), ...more });
    });
    return connection;
  };
  const exec = (connection: ssh2.Client, line: string): Promise<ClientChannel> =>
    new Promise((resolve, reject) =>
      connection.exec(line, (error, channel) => (error ? reject(error) : resolve(channel))),
    );
  const outcome = (channel: ClientChannel): Promise<{ out: string; code: number | null; signal: string | undefined }> =>
    new Promise((resolve) => {
      let out = '';
      channel.on('data', (bytes: Buffer) => (out += bytes.toString()));
      channel.stderr.on('data', (bytes: Buffer) => (out += bytes.toString()));
      channel.on('close', (code: number | null, signal?: string) => resolve({ out, code, signal }));
    });

  test('listens on loopback alone; its files are closed to others; the key is of this run', async () => {
    const { device } = rehearsal;
    expect([device.host, device.rehearsal, device.root]).toEqual([
      '127.0.0.1',
      true,
      rehearsalRoot(slipwayDir, 'rehearsal'),
    ]);
    const port = (device.port ?? 0).toString(16).toUpperCase().padStart(4, '0');
    expect(readFileSync('/proc/net/tcp', 'utf8')).toContain(`0100007F:${port} 00000000:0000 0A`);
    expect([device.key, device.knownHosts].map((path) => statSync(path ?? '').mode & 0o777)).toEqual([0o600, 0o600]);
    expect([slipwayDir, device.root].map((path) => statSync(path).mode & 0o077)).toEqual([0, 0]);
    const other = await startRehearsalDevice({ slipwayDir, name: 'rehearsal' });
    expect(readFileSync(other.device.key ?? '', 'utf8')).not.toBe(readFileSync(device.key ?? '', 'utf8'));
    const stranger = performerFor({ ...device, key: other.device.key });
    expect(failureIn(await stranger.ask('device.facts'))).toMatchObject({ reason: 'authentication' });
    await other.close();
    expect(existsSync(other.device.key ?? '')).toBe(false);
  });

  test('keys of a run that was killed are removed by the next', async () => {
    const gone = execFileSync('sh', ['-c', 'echo $$'], { encoding: 'utf8' }).trim();
    mkdirSync(join(slipwayDir, 'rehearsal', `.keys-${gone}-abc`));
    const next = await startRehearsalDevice({ slipwayDir, name: 'rehearsal' });
    await next.close();
    expect(readdirSync(join(slipwayDir, 'rehearsal')).filter((name) => name.startsWith('.keys-'))).toHaveLength(1);
    expect(existsSync(rehearsal.device.key ?? '')).toBe(true);
  });

  test('a command sees HOME below the root, PATH and LANG, and nothing of the operator', async () => {
    process.env['SLIPWAY_TEST_SECRET'] = 'hunter2';
    const connection = await client();
    const { out } = await outcome(await exec(connection, 'pwd; env'));
    delete process.env['SLIPWAY_TEST_SECRET'];
    connection.end();
    const [cwd, ...variables] = out.trim().split('\n');
    expect(cwd).toBe(join(rehearsal.device.root, 'home'));
    const names = variables
      .map((line) => line.split('=')[0])
      .filter((name) => !['PWD', 'OLDPWD', '_', 'SHLVL'].includes(name ?? ''));
    expect(names.sort()).toEqual(['HOME', 'LANG', 'PATH']);
    expect(variables).toContain(`HOME=${join(rehearsal.device.root, 'home')}`);
  });

  test('exit status, signals and both streams come through', async () => {
    const connection = await client();
    expect(await outcome(await exec(connection, 'echo out; echo err >&2; exit 7'))).toMatchObject({
      out: expect.stringMatching(/^(out\nerr|err\nout)\n$/) as string,
      code: 7,
    });
    expect(await outcome(await exec(connection, 'kill -TERM $$'))).toMatchObject({ signal: 'SIGTERM' });
    const channel = await exec(connection, 'echo ready; exec sleep 60');
    const ended = outcome(channel);
    channel.once('data', () => channel.signal('INT'));
    expect(await ended).toMatchObject({ signal: 'SIGINT' });
    const big = await outcome(await exec(connection, 'head -c 5000000 /dev/zero | tr "\\0" x'));
    expect([big.out.length, big.code]).toEqual([5_000_000, 0]);
    connection.end();
  });

  test('shells, subsystems, forwarding, passwords and other users are refused', async () => {
    const connection = await client();
    const refused = (ask: (done: (error: Error | undefined) => void) => void): Promise<boolean> =>
      new Promise((resolve) => ask((error) => resolve(error !== undefined)));
    expect(await refused((done) => connection.shell(done))).toBe(true);
    expect(await refused((done) => connection.sftp(done))).toBe(true);
    expect(await refused((done) => connection.forwardOut('127.0.0.1', 1, '127.0.0.1', 22, done))).toBe(true);
    expect(await refused((done) => connection.forwardIn('127.0.0.1', 0, done))).toBe(true);
    connection.end();
    await expect(client({ username: 'root' })).rejects.toThrow();
    const password = { password: 'rehearsal' };
    await expect(
      client({ ...password, privateKey: ssh2.utils.generateKeyPairSync('ed25519').private }),
    ).rejects.toThrow();
  });

  test('a connection that goes takes its commands along; what has a session of its own stays', async () => {
    const connection = await client();
    const channel = await exec(
      connection,
      `trap '' TERM; python3 -c 'import os, time; os.fork() or (os.setsid(), os.close(0), os.close(1), os.close(2), time.sleep(63))' & sleep 64 & echo $!; ps -o pid= -s $! ; wait`,
    );
    const sleeper = await new Promise<number>((resolve) =>
      channel.once('data', (bytes: Buffer) => resolve(Number(bytes.toString().split('\n')[0]))),
    );
    const service = await until('the service runs', () => pidsOf('sleep.63').find((pid) => sessionOf(pid) === pid));
    connection.destroy();
    await until('the command ended', () => !isRunning(sleeper));
    expect(isRunning(service)).toBe(true);
    process.kill(service, 'SIGKILL');
  });

  test('two runs at once on one root: two servers, one lock', async () => {
    const second = await startRehearsalDevice({ slipwayDir, name: 'rehearsal' });
    const [one, two] = [performerFor(rehearsal.device), performerFor(second.device)];
    const scope = { kind: 'lock', place: 'rehearsal', name: 'deploy' } as const;
    expect(await one.enter(scope, performing())).toMatchObject({ ok: true });
    expect(failureIn(await two.enter(scope, performing()))).toMatchObject({ reason: 'lock-held' });
    expect(valueIn(await two.perform(command(['true']), performing()))).toBeNull();
    await one.close();
    expect(await two.enter(scope, performing())).toMatchObject({ ok: true });
    await two.close();
    await second.close();
  });

  test('what the shell leaves behind in its group ends with the connection, too, even if it ignores TERM', async () => {
    const connection = await client();
    const channel = await exec(connection, `(trap '' TERM; exec sleep 65) & echo $!; exec sleep 66`);
    const pid = await new Promise<number>((resolve) =>
      channel.once('data', (bytes: Buffer) => resolve(Number(bytes.toString()))),
    );
    connection.destroy();
    await until('the stubborn one ended', () => !isRunning(pid));
  });

  test('closing ends what runs, also what ignores TERM', async () => {
    const other = await startRehearsalDevice({ slipwayDir, name: 'rehearsal', graceMs: 200 });
    const performer = performerFor(other.device);
    expect(await performer.ask('device.facts')).toMatchObject({ ok: true });
    const { host, port, user, key } = other.device;
    const connection = await client({
      host,
      port: port ?? 0,
      username: user ?? '',
      privateKey: readFileSync(key ?? ''),
    });
    connection.on('error', () => undefined);
    const channel = await exec(connection, "trap '' TERM; echo $$; while :; do sleep 0.1; done");
    const pid = await new Promise<number>((resolve) =>
      channel.once('data', (bytes: Buffer) => resolve(Number(bytes.toString()))),
    );
    await other.close();
    expect(isRunning(pid)).toBe(false);
    await performer.close();
  });

  test('a file of the operator is not where a rehearsal looks for secrets', () => {
    writeFileSync(join(folder.path, '.env'), 'TOKEN=real\n');
    expect(existsSync(join(rehearsal.device.root, 'home', '.env'))).toBe(false);
  });
});

function pidsOf(text: string): number[] {
  return readdirSync('/proc')
    .filter(
      (name) =>
        /^\d+$/.test(name) && new RegExp(`^\\S*python3\\S*\\0.*${text}`, 's').test(read(`/proc/${name}/cmdline`)),
    )
    .map(Number);
}

function sessionOf(pid: number): number {
  return Number(
    read(`/proc/${String(pid)}/stat`)
      .split(') ')[1]
      ?.split(' ')[3],
  );
}

function isRunning(pid: number): boolean {
  const state = read(`/proc/${String(pid)}/stat`).split(') ')[1]?.[0];
  return state !== undefined && state !== 'Z';
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
