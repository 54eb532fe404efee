import { spawn } from 'node:child_process';
import { mkdtempSync, realpathSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as rest } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { s } from '../../lib/model/schema.ts';
import type { Board } from '../../scripts/testbed/board.ts';
import { ACCOUNTS, CLERKS_PASSWORD } from '../../scripts/testbed/settings.ts';
import { packedTree } from '../device/packed.ts';
import { until } from '../device/poll.ts';
import { performerFor, performing, rigEnded, stepOf, valueIn } from '../device/rig.ts';
import { board, BOARD_MS, boardMissing, login, sshArgv, targetOf } from './board.ts';

/** Long enough for an answer over loopback; none in this time is none. */
const SILENCE_MS = 1_500;
const COUNTER = `[Unit]
Description=counts how often it was stopped
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'echo started >>/srv/log'
ExecStop=/bin/sh -c 'echo stopped >>/srv/log'
[Install]
WantedBy=multi-user.target
`;

describe.skipIf(boardMissing !== null)(`the stand-in board${boardMissing === null ? '' : ` (${boardMissing})`}`, () => {
  let main: Board;
  let small: Board;

  beforeAll(async () => {
    [main, small] = await Promise.all([board(), board({ name: 'small', size: { memoryMb: 256, diskMb: 64 } })]);
  }, BOARD_MS);
  afterAll(rigEnded);

  test('systemd runs, nothing failed, and its timers fire', async () => {
    expect(await main.must(['systemctl', 'is-system-running'])).toBe('running');
    expect(await main.must(['cat', '/proc/1/comm'])).toBe('systemd');
    const timer = ['--on-active=1s', '--timer-property=AccuracySec=50ms', '--property=MemoryMax=20M'];
    const begun = performance.now();
    await main.must(['systemd-run', ...timer, 'touch', '/srv/fired']);
    await until('the timer fired', async () => (await main.exec(['test', '-e', '/srv/fired'])).status === 0);
    expect(performance.now() - begun).toBeGreaterThan(950);
  });

  test('accounts: who may become root, and how', async () => {
    const whoami = await Promise.all(
      ACCOUNTS.map(async (account) => [
        (await login(main, account, 'whoami')).stdout,
        (await login(main, account, 'sudo -n whoami')).stdout,
        (await login(main, account, 'sudo -S whoami', `${CLERKS_PASSWORD}\n`)).stdout,
      ]),
    );
    expect(whoami).toEqual([
      ['root\n', 'root\n', 'root\n'],
      ['pilot\n', 'root\n', 'root\n'],
      ['clerk\n', '', 'root\n'],
      ['guest\n', '', ''],
    ]);
  });

  test('boards are apart: units of one are not those of the other', async () => {
    await small.must(['systemctl', 'stop', 'ssh']);
    expect(await main.must(['systemctl', 'is-active', 'ssh'])).toBe('active');
    expect((await login(main, 'pilot', 'hostname')).stdout).toBe(`${main.name}\n`);
    await small.must(['systemctl', 'start', 'ssh']);
  });

  test('reboot: services stop in order, /srv stays, and it is another boot', async () => {
    await main.must(['tee', '/etc/systemd/system/counter.service'], { input: COUNTER });
    await main.must(['systemctl', 'enable', '--now', '--quiet', 'counter.service']);
    const first = await main.boot();
    await main.reboot();
    expect(await main.must(['cat', '/srv/log'])).toBe('started\nstopped\nstarted');
    const second = await main.boot();
    await main.reboot('power');
    expect(await main.must(['cat', '/srv/log'])).toBe('started\nstopped\nstarted\nstarted');
    expect(new Set([first, second, await main.boot()]).size).toBe(3);
    expect((await login(main, 'pilot', 'cat /srv/log')).status).toBe(0);
  });

  test('a pulled cable is silence: open connections stall and go on, new ones hear nothing, also over a reboot', async () => {
    const [ssh, ...args] = [...sshArgv(main, 'pilot'), 'exec cat'];
    const open = spawn(ssh, args);
    let heard = '';
    let ended = false;
    open.stdout.on('data', (text: Buffer) => (heard += text.toString()));
    open.once('close', () => (ended = true));
    open.stdin.write('before\n');
    await until('an echo', () => heard === 'before\n');
    await main.cut();
    open.stdin.write('during\n');
    expect(await answersIn(main.ports.ssh, SILENCE_MS)).toBe('nothing');
    expect([heard, ended]).toEqual(['before\n', false]);
    await main.mend();
    await until('the echo of what was written while it was cut', () => heard === 'before\nduring\n', 30_000);
    open.stdin.end();
    await until('the session ended', () => ended);
    await main.cut();
    await main.reboot();
    expect([await main.isCut(), await answersIn(main.ports.ssh, SILENCE_MS)]).toEqual([true, 'nothing']);
    await main.mend();
    expect(await answersIn(main.ports.ssh, 30_000)).toBe('something');
    expect(await main.must(['cat', '/srv/log'])).toMatch(/started$/);
  });

  test('its disk is its own, and can be full: of blocks, of inodes', async () => {
    const write = (): Promise<{ readonly stderr: string }> => login(small, 'guest', 'echo text >/srv/guest/file');
    await small.fill();
    expect((await write()).stderr).toContain('No space left on device');
    expect((await small.exec(['dd', 'if=/dev/zero', 'of=/var/tmp/other', 'bs=1M', 'count=1'])).status).toBe(0);
    expect((await main.exec(['touch', '/srv/other'])).status).toBe(0);
    await small.free();
    expect((await write()).stderr).toBe('');
    await small.must(['rm', '/srv/guest/file']);
    await small.fill('inodes');
    expect((await write()).stderr).toContain('No space left on device');
    await small.free();
    expect((await write()).stderr).toBe('');
  });

  test("its memory is limited, and the device's agent says so", async () => {
    const take = (mib: number): Promise<{ readonly status: number | null }> =>
      small.exec(['python3', '-c', `b'x' * (${String(mib)} << 20)`]);
    expect([(await take(50)).status, (await take(300)).status]).toEqual([0, 137]);
    const tree = packedTree(realpathSync(mkdtempSync(join(tmpdir(), 'slipway-tree-'))), { a: 'a' }).from;
    const room = stepOf(
      'probe',
      { ask: 'device.room', args: { tree, services: [], reservedMb: 200, boardMb: 100_000 } },
      { yields: s.object({ memoryMb: s.number, enough: s.boolean }) },
    );
    expect(valueIn(await performerFor(targetOf(small, 'guest')).perform(room, performing()))).toMatchObject({
      memoryMb: 256,
      enough: true,
    });
  });
});

/** What a new connection hears in a time; it must not be closed from over there. */
function answersIn(port: number, timeoutMs: number): Promise<'something' | 'nothing' | 'the end'> {
  const socket = connect(port, '127.0.0.1');
  const heard = new Promise<'something' | 'the end'>((resolve) => {
    socket.once('data', () => resolve('something'));
    socket.once('error', () => resolve('the end')).once('close', () => resolve('the end'));
  });
  return Promise.race([heard, rest(timeoutMs, 'nothing' as const)]).finally(() => socket.destroy());
}
