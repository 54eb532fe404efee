import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { DevicePerformerOptions } from '../../lib/device/performer.ts';
import { packedTree } from './packed.ts';
import { BARE, cancelByHand, command, failureIn, performerFor, performing, rigEnded, stepOf } from './rig.ts';
import { freePort, keyPair, missingTools, startSshd, transports, writeSshConfig, type Sshd } from './sshd.ts';
import { temporary } from './temporary.ts';

const needs = missingTools === null ? '' : ` (needs ${missingTools})`;

describe.skipIf(missingTools !== null).each(transports)(`logging in by $transport${needs}`, ({ transport }) => {
  let sshd: Sshd;
  beforeAll(async () => {
    sshd = await startSshd({ transport });
  });
  afterAll(async () => {
    await rigEnded();
    await sshd.stop();
  });

  const address = (port: number): string => `127.0.0.1:${String(port)}`;
  async function attempt(
    device: Partial<Sshd['device']>,
    more: Partial<DevicePerformerOptions> = {},
  ): Promise<unknown> {
    const performer = performerFor({ ...sshd.device, ...device }, more);
    const answer = await performer.ask('device.facts');
    await performer.close();
    return answer.ok ? null : answer.failure;
  }

  test('a key that the device does not know', async () => {
    keyPair(join(sshd.folder, 'stranger'), 'ed25519');
    const failure = await attempt({ key: join(sshd.folder, 'stranger') });
    expect(failure).toEqual({
      reason: 'authentication',
      place: 'board',
      address: address(sshd.device.port ?? 0),
      user: sshd.device.user,
    });
  });

  test('an encrypted key, without and with an SSH agent that holds it', async () => {
    const key = join(sshd.folder, 'locked');
    execFileSync('cp', [join(sshd.folder, 'client'), key]);
    execFileSync('ssh-keygen', ['-q', '-p', '-P', '', '-N', 'open sesame', '-f', key]);
    expect(await attempt({ key })).toEqual({
      reason: 'refused',
      message: expect.stringContaining(`ssh-add ${key}`) as string,
    });
    const socket = join(sshd.folder, 'agent');
    const started = execFileSync('ssh-agent', ['-s', '-a', socket], { encoding: 'utf8' });
    const pid = Number(/SSH_AGENT_PID=(\d+)/.exec(started)?.[1]);
    try {
      execFileSync('ssh-add', ['-q', join(sshd.folder, 'client')], {
        env: { ...process.env, SSH_AUTH_SOCK: socket },
        stdio: 'ignore',
      });
      expect(await attempt({ key }, { environment: { ...BARE, SSH_AUTH_SOCK: socket } })).toBeNull();
    } finally {
      process.kill(pid);
    }
  });

  test('a key file that is gone, or is none', async () => {
    const gone = join(sshd.folder, 'gone');
    expect(await attempt({ key: gone })).toEqual({
      reason: 'file-system',
      code: 'ENOENT',
      path: gone,
      operation: 'read',
    });
    const odd = join(sshd.folder, 'odd-key');
    writeFileSync(odd, 'not a key', { mode: 0o600 });
    expect(await attempt({ key: odd })).toMatchObject({ reason: 'refused' });
  });

  test('ssh_config gives host, port, user, identity and known_hosts of an alias', async () => {
    const home = join(sshd.folder, 'home');
    mkdirSync(home);
    const { port, user, key, knownHosts } = sshd.device;
    writeSshConfig(home, [
      'Host my-alias',
      'HostName 127.0.0.1',
      `Port ${String(port)}`,
      `User ${String(user)}`,
      `IdentityFile ${String(key)}`,
      `UserKnownHostsFile ${String(knownHosts)}`,
    ]);
    const environment = { ...BARE, PATH: `${home}:${String(BARE.PATH)}` };
    expect(
      await attempt({ host: 'my-alias', port: null, user: null, key: null, knownHosts: null }, { environment }),
    ).toBeNull();
  });

  test('a port where nobody listens', async () => {
    const port = await freePort();
    expect(await attempt({ port })).toEqual({
      reason: 'unreachable',
      place: 'board',
      address: address(port),
      code: 'ECONNREFUSED',
    });
  });

  test('a name that does not resolve', async () => {
    expect(await attempt({ host: 'no-such-host.invalid' })).toMatchObject({
      reason: 'unreachable',
      code: expect.stringMatching(/^(ENOTFOUND|EAI_AGAIN)$/) as string,
    });
  });

  describe('a server that is none', () => {
    let server: Server;
    const sockets = new Set<Socket>();
    let greet: (socket: Socket) => void = () => undefined;
    let port = 0;
    beforeAll(async () => {
      server = createServer((socket) => {
        sockets.add(socket);
        socket.on('error', () => undefined);
        greet(socket);
      });
      port = await freePort();
      await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    });
    afterAll(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });

    test('says nothing: the timeout ends the wait', async () => {
      greet = () => undefined;
      expect(await attempt({ port }, { limits: { connectMs: 300 } })).toEqual({
        reason: 'unreachable',
        place: 'board',
        address: address(port),
        code: 'ETIMEDOUT',
      });
    });

    test('speaks another protocol', async () => {
      greet = (socket) => socket.end('220 mail.example.com ESMTP\r\n');
      expect(await attempt({ port })).toMatchObject({ reason: 'unreachable', code: 'EPROTO' });
    });

    test('an upload, which connects before it reads its tree, tries it as often as any other step does', async () => {
      let tried = 0;
      greet = (socket) => {
        tried++;
        socket.destroy();
      };
      const folder = temporary('login');
      onTestFinished(() => folder.remove());
      const performer = performerFor({ ...sshd.device, port });
      const upload = stepOf('upload', packedTree(folder.path, { a: 'content' }));
      const counts = [];
      for (const step of [command(['true']), upload, upload, command(['true'])]) {
        tried = 0;
        expect(failureIn(await performer.perform(step, performing()))).toMatchObject({ reason: 'unreachable' });
        counts.push(tried);
      }
      expect(new Set(counts)).toEqual(new Set([counts[0]]));
      await performer.close();
    });

    test('says nothing: a cancel ends the wait', async () => {
      const accepted = new Promise<void>((resolve) => (greet = () => resolve()));
      const performer = performerFor({ ...sshd.device, port });
      const around = { cancel: cancelByHand() };
      const result = performer.perform(command(['true']), performing(around));
      await accepted;
      around.cancel.ask();
      expect(failureIn(await result)).toEqual({ reason: 'cancelled', signal: 'SIGINT' });
      await performer.close();
    });
  });
});
