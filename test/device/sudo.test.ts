import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { DevicePerformer } from '../../lib/device/performer.ts';
import { performerFor, performing, rigEnded, stepOf, valueIn, command } from './rig.ts';
import { missingTools, startSshd, transports, type Sshd } from './sshd.ts';

const PASSWORD = 'open sesame';
const users = ['pilot', 'clerk', 'guest', 'bound', 'bare', 'lone'] as const;
type User = (typeof users)[number];
const login = (user: User): string => `slipway-${user}-${String(process.pid)}`;
const SUDO_LOG = join(tmpdir(), `slipway-sudo-${String(process.pid)}`);
const SUDOERS = `/etc/sudoers.d/slipway-${String(process.pid)}`;

const hasSudo = spawnSync('sudo', ['-V']).status === 0;
const missing =
  missingTools ?? (hasSudo ? (process.getuid?.() === 0 ? null : 'root, to make users') : 'sudo (apt-get install sudo)');

/** Accounts of this machine for as long as the tests run. */
function makeUsers(): void {
  for (const user of users) execFileSync('useradd', ['-m', '-s', '/bin/sh', login(user)]);
  execFileSync('chpasswd', { input: users.map((user) => `${login(user)}:${PASSWORD}\n`).join('') });
  const lines = [
    `${login('pilot')} ALL=(ALL) NOPASSWD: ALL`,
    `${login('clerk')} ALL=(ALL) ALL`,
    `${login('bound')} ALL=(ALL) ALL`,
    `Defaults:${login('bound')} requiretty`,
    `Defaults:${login('clerk')} logfile=${SUDO_LOG}/log`,
    `${login('bare')} ALL=(ALL) NOPASSWD: ALL`,
    `Defaults:${login('bare')} secure_path=${SUDO_LOG}`,
  ];
  // What root finds there: env, and no python3.
  mkdirSync(SUDO_LOG);
  symlinkSync('/usr/bin/env', join(SUDO_LOG, 'env'));
  mkdirSync(`/home/${login('lone')}/.ssh`);
  writeFileSync(`/home/${login('lone')}/.ssh/environment`, 'PATH=/nowhere\n');
  writeFileSync(SUDOERS, `${lines.join('\n')}\n`, { mode: 0o440 });
}

function removeUsers(): void {
  for (const path of [SUDOERS, SUDO_LOG]) rmSync(path, { recursive: true, force: true });
  for (const user of users) spawnSync('userdel', ['-r', login(user)], { stdio: 'ignore' });
}

describe.skipIf(missing !== null).each(transports)(
  `sudo by $transport${missing === null ? '' : ` (needs ${missing})`}`,
  ({ transport }) => {
    let sshd: Sshd;
    beforeAll(async () => {
      makeUsers();
      sshd = await startSshd({ transport, config: ['PermitUserEnvironment yes'] });
      // sshd reads it as the user who logs in.
      chmodSync(sshd.folder, 0o711);
      chmodSync(join(sshd.folder, 'authorized_keys'), 0o644);
    });
    afterEach(rigEnded);
    afterAll(async () => {
      await sshd.stop();
      removeUsers();
    });

    const as = (user: User, sudoPassword: string | null, root = '~/app'): DevicePerformer =>
      performerFor({ ...sshd.device, user: login(user), sudo: true, root }, { sudoPassword });
    const refusal = async (user: User, password: string | null): Promise<unknown> => {
      const answer = await as(user, password).ask('device.facts');
      return answer.ok ? null : answer.failure;
    };
    const refused = (user: User, why: string): object => ({
      reason: 'sudo-refused',
      place: 'board',
      user: login(user),
      why,
      said: expect.any(String) as string,
    });

    test.each([
      ['pilot', null],
      ['clerk', PASSWORD],
      // sudo does not ask, so the password is left over.
      ['pilot', PASSWORD],
      ['pilot', '{"agent": 0}'],
    ] as const)("%s with %j is root, below the login's own home", async (user, password) => {
      const performer = as(user, password);
      const seen = await performer.perform(command(['id', '-u'], { output: 'text' }), performing());
      expect(valueIn(seen)).toBe('0');
      const write = stepOf('write', { path: 'file', content: 'x', mode: 0o600 });
      expect(valueIn(await performer.perform(write, performing()))).toBeNull();
      expect(statSync(`/home/${login(user)}/app/file`).uid).toBe(0);
      expect(existsSync(join(homedir(), 'app'))).toBe(false);
    });

    test('a wrong password is tried once', async () => {
      rmSync(join(SUDO_LOG, 'log'), { force: true });
      expect(await refusal('clerk', 'open barley')).toEqual(refused('clerk', 'wrong-password'));
      expect(readFileSync(join(SUDO_LOG, 'log'), 'utf8')).toContain('1 incorrect password attempt ;');
    });

    test('no password where one is needed; none would help', async () => {
      expect(await refusal('clerk', null)).toEqual(refused('clerk', 'password-needed'));
      expect(await refusal('guest', null)).toEqual(refused('guest', 'password-needed'));
    });

    test('a user without the right', async () => {
      expect(await refusal('guest', PASSWORD)).toEqual(refused('guest', 'not-allowed'));
    });

    test('sudo that wants a terminal', async () => {
      expect(await refusal('bound', PASSWORD)).toEqual(refused('bound', 'not-asked'));
    });

    test('no sudo there; no python3 behind it', async () => {
      expect(await refusal('lone', null)).toEqual(refused('lone', 'no-sudo'));
      expect(await refusal('lone', PASSWORD)).toEqual(refused('lone', 'no-sudo'));
      expect(await refusal('bare', null)).toEqual({ reason: 'no-python', place: 'board', found: null });
    });

    test('the password is in no arguments and no environment', async () => {
      const performer = as('clerk', PASSWORD);
      expect(await performer.ask('device.facts')).toMatchObject({ ok: true });
      const seen = readdirSync('/proc').filter(
        (pid) => /^\d+$/.test(pid) && ['cmdline', 'environ'].some((file) => holds(`/proc/${pid}/${file}`, PASSWORD)),
      );
      expect(seen).toEqual([]);
    });
  },
);

function holds(path: string, text: string): boolean {
  try {
    return readFileSync(path, 'utf8').includes(text);
  } catch {
    return false;
  }
}
