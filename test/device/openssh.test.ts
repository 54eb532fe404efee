import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { agentSource } from '../../lib/device/agent.ts';
import { LIMITS } from '../../lib/device/limits.ts';
import { connectWithOpenSsh } from '../../lib/device/openssh.ts';
import { resolveEndpoint } from '../../lib/device/ssh-config.ts';
import type { DevicePerformerOptions } from '../../lib/device/performer.ts';
import type { DeviceTarget } from '../../lib/model/device.ts';
import { BARE, QUICK, fakeAgent, performerFor, performing, rigEnded } from './rig.ts';
import { keyPair, missingTools, startSshd, transports, writeSshConfig, type Sshd } from './sshd.ts';

const needs = missingTools === null ? '' : ` (needs ${missingTools})`;

async function attempt(target: DeviceTarget, more: Partial<DevicePerformerOptions> = {}): Promise<unknown> {
  const performer = performerFor(target, more);
  const answer = await performer.ask('device.facts');
  await performer.close();
  return answer.ok ? null : answer.failure;
}

describe.skipIf(missingTools !== null)(`what only OpenSSH can do${needs}`, () => {
  let [jump, inner]: [Sshd | null, Sshd | null] = [null, null];
  let home = '';
  beforeAll(async () => {
    [jump, inner] = await Promise.all([startSshd({ name: 'jump' }), startSshd({ transport: 'ssh' })]);
    home = mkdtempSync(join(tmpdir(), 'slipway-home-'));
  });
  afterEach(rigEnded);
  afterAll(async () => {
    await Promise.all([jump?.stop(), inner?.stop()]);
    rmSync(home, { recursive: true, force: true });
  });

  const environment = (): typeof BARE => ({ ...BARE, PATH: `${home}:${String(BARE.PATH)}` });
  const board = (more: Partial<DeviceTarget> = {}): DeviceTarget => {
    if (inner === null) throw new Error('no sshd');
    return { ...inner.device, ...more };
  };
  /** An ssh_config in which `hidden` is reached in one way or another. */
  const behind = (...way: readonly string[]): void => {
    const { port = 0, key = '', knownHosts = '' } = jump?.device ?? {};
    writeSshConfig(home, [
      'Host hidden',
      '  HostName 127.0.0.1',
      `  Port ${String(inner?.device.port)}`,
      ...way.map((line) => `  ${line}`),
      'Host bastion',
      '  HostName 127.0.0.1',
      `  Port ${String(port)}`,
      `  IdentityFile ${String(key)}`,
      `  UserKnownHostsFile ${String(knownHosts)}`,
    ]);
  };
  const hidden = (more: Partial<DeviceTarget> = {}): DeviceTarget => board({ host: 'hidden', port: null, ...more });

  test('a jump host: ssh2 says what would follow it, ssh does', async () => {
    behind('ProxyJump bastion');
    expect(await attempt(hidden({ transport: 'ssh2' }), { environment: environment() })).toEqual({
      reason: 'refused',
      message:
        'ssh_config reaches hidden through proxyjump bastion, which only OpenSSH can follow: set BOARD_TRANSPORT=ssh',
    });
    const performer = performerFor(hidden(), { environment: environment() });
    expect(await performer.ask('device.facts')).toMatchObject({ ok: true });
    expect(jump?.sessions().length).toBeGreaterThan(0);
    jump?.cut();
    // What goes through the jump host went with it, and comes again.
    expect(await performer.ask('device.facts')).toMatchObject({ ok: true });
    await performer.close();
  });

  test('a command in between', async () => {
    const relay = join(home, 'relay.py');
    writeFileSync(
      relay,
      'import os,sys,socket,threading\ns=socket.create_connection(("127.0.0.1",int(sys.argv[1])))\ndef up():\n  while True:\n    b=os.read(0,65536)\n    if not b: break\n    s.sendall(b)\nthreading.Thread(target=up,daemon=True).start()\nwhile True:\n  b=s.recv(65536)\n  if not b: break\n  os.write(1,b)\n',
    );
    behind(`ProxyCommand python3 ${relay} %p`);
    expect(await attempt(hidden(), { environment: environment() })).toBeNull();
  });

  test('behind a jump host that is away, ssh says what it knows', async () => {
    behind('ProxyJump nowhere.invalid');
    expect(await attempt(hidden(), { environment: environment() })).toMatchObject({
      reason: 'ssh-failed',
      place: 'board',
      through: 'proxyjump nowhere.invalid',
      status: 255,
    });
  });

  test('an ssh_config that ssh refuses', async () => {
    behind('NoSuchOption yes');
    expect(await attempt(hidden(), { environment: environment() })).toMatchObject({ reason: 'exit-non-zero' });
  });

  test('certificates, of the host and of the user', async () => {
    const authority = join(home, 'authority');
    const trusted = keyPair(authority, 'ed25519');
    const sign = (...args: string[]): void =>
      void execFileSync('ssh-keygen', ['-q', '-s', authority, '-I', 'x', ...args]);
    const sshd = await startSshd({
      transport: 'ssh',
      config(folder) {
        sign('-h', '-n', '127.0.0.1', join(folder, 'host_ed25519.pub'));
        return [
          `HostCertificate ${join(folder, 'host_ed25519-cert.pub')}`,
          `TrustedUserCAKeys ${authority}.pub`,
          'AuthorizedKeysFile none',
        ];
      },
    });
    const knownHosts = join(sshd.folder, 'authorities');
    writeFileSync(knownHosts, `@cert-authority ${sshd.address} ${trusted}\n`);
    const device = { ...sshd.device, knownHosts };
    // Who is let in by a certificate must have one; that the host's is good, nobody but ssh knows.
    expect(await attempt(device)).toMatchObject({ reason: 'ssh-failed', through: null });
    sign('-n', String(device.user), `${String(device.key)}.pub`);
    expect(await attempt(device)).toBeNull();
    expect(await attempt({ ...device, transport: 'ssh2' })).toMatchObject({ reason: 'host-key', state: 'unknown' });
    writeFileSync(knownHosts, `@revoked * ${trusted}\n@cert-authority ${sshd.address} ${trusted}\n`);
    expect(await attempt(device)).toMatchObject({ reason: 'ssh-failed' });
    await sshd.stop();
  });

  test('once its process in the background is gone, nothing connects anew by itself', async () => {
    const resolved = await resolveEndpoint(board(), BARE);
    if (!resolved.ok) throw new Error('not resolved');
    const limits = { ...LIMITS, ...QUICK };
    const temporary = mkdtempSync(join(home, 't-'));
    process.env['TMPDIR'] = temporary;
    const connected = await connectWithOpenSsh(resolved.endpoint, BARE, limits, new AbortController().signal);
    delete process.env['TMPDIR'];
    if (!connected.ok) throw new Error(JSON.stringify(connected.failure));
    expect(readdirSync(temporary)).toHaveLength(1);
    const { connection } = connected;
    const run = async (command: string): Promise<number | null> => {
      const opened = await connection.exec(command);
      if (!opened.ok) throw new Error('not opened');
      opened.channel.stdout.resume();
      return opened.channel.exit;
    };
    expect([await run('exit 0'), await run('exit 7')]).toEqual([0, 7]);
    inner?.cut();
    expect(await run('exit 0')).toBeNull();
    expect(inner?.sessions()).toEqual([]);
    await connection.close();
    expect(readdirSync(temporary)).toEqual([]);
  });
});

describe.skipIf(missingTools !== null).each(transports)(`odd devices by $transport${needs}`, ({ transport }) => {
  afterEach(rigEnded);

  test('one session at a time is enough for all of it', async () => {
    const sshd = await startSshd({ transport, config: ['MaxSessions 1'] });
    const performer = performerFor(sshd.device);
    const scope = { kind: 'lock', place: 'board', name: 'deploy' } as const;
    expect(await performer.enter(scope, performing())).toMatchObject({ ok: true });
    expect(await performer.askFresh('device.facts')).toMatchObject({ ok: true });
    expect(await performer.ask('device.facts')).toMatchObject({ ok: true });
    await performer.close();
    await sshd.stop();
  });

  test('no python3, an old one, an agent that was tampered with', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'slipway-python-'));
    // Whatever the login shell's own files make of PATH.
    const onPath = (path: string): string[] => [`ForceCommand PATH=${path} /bin/sh -c "$SSH_ORIGINAL_COMMAND"`];
    mkdirSync(join(folder, 'old'));
    writeFileSync(join(folder, 'old', 'python3'), `#!/bin/sh\necho '{"hello": {"tooOld": "3.6.9"}}'\nexit 3\n`, {
      mode: 0o755,
    });
    const [none, old, tampered] = [
      await startSshd({ transport, config: onPath(folder) }),
      await startSshd({ transport, config: onPath(join(folder, 'old')) }),
      await startSshd({ transport }),
    ];
    expect(await attempt(none.device)).toEqual({ reason: 'no-python', place: 'board', found: null });
    expect(await attempt(old.device)).toEqual({ reason: 'no-python', place: 'board', found: '3.6.9' });
    const source = { ...agentSource(), agent: Buffer.concat([agentSource().agent, Buffer.from('#')]) };
    expect(await attempt(tampered.device, { source })).toMatchObject({
      reason: 'checksum-mismatch',
      path: 'agent.py',
      expected: source.sha256,
    });
    expect(await attempt(tampered.device, { source: fakeAgent('sys.exit(4)') })).toMatchObject({ code: 'agent-ended' });
    await Promise.all([none, old, tampered].map((sshd) => sshd.stop()));
    rmSync(folder, { recursive: true });
  });
});
