import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { keyPair, missingTools, startSshd, type Sshd } from '../device/sshd.ts';
import { useBoard } from './board.ts';
import { oneReleaseAnswers } from './crash.ts';
import { Project } from './project.ts';

const DEPLOY = ['deploy', '--to', 'board'];

describe.skipIf(missingTools !== null)(
  `a board behind OpenSSH${missingTools === null ? '' : ` (skipped: no ${missingTools})`}`,
  () => {
    let sshd: Sshd;
    let project: Project;
    let old = '';

    beforeAll(async () => {
      sshd = await startSshd();
      project = new Project({ root: sshd.root });
      useBoard(project, sshd);
      expect((await project.run(DEPLOY)).status).toBe(0);
      old = project.current() ?? '';
      project.edit();
    });

    afterAll(async () => {
      await project.stop();
      await sshd.stop();
    });

    afterEach(async () => {
      useBoard(project, sshd);
      await oneReleaseAnswers(project, [old], 'after a mistake');
    });

    test('an unknown host key is refused: status 3', async () => {
      const knownHosts = join(sshd.folder, 'nobody');
      writeFileSync(knownHosts, '');
      useBoard(project, sshd, { BOARD_KNOWN_HOSTS: knownHosts });
      const { status, stdout } = await project.run(DEPLOY);
      expect(status).toBe(3);
      expect(stdout).toMatch(
        /the host key of board \(127\.0\.0\.1:\d+\) is unknown: SHA256:\S+\n {2}compare it with what the device shows/,
      );
    });

    test('a changed host key is refused: status 3', async () => {
      const other = keyPair(join(sshd.folder, 'other_host'), 'ed25519');
      const knownHosts = join(sshd.folder, 'changed');
      writeFileSync(knownHosts, `${sshd.address} ${other}\n`);
      useBoard(project, sshd, { BOARD_KNOWN_HOSTS: knownHosts });
      const { status, stdout } = await project.run(DEPLOY);
      expect(status).toBe(3);
      expect(stdout).toMatch(
        /the host key of board \(127\.0\.0\.1:\d+\) is changed: SHA256:\S+\n {2}someone may stand in between; only if the device was set up anew: ssh-keygen -R/,
      );
    });

    test('a key that the board does not know: status 1', async () => {
      keyPair(join(sshd.folder, 'stranger'), 'ed25519');
      useBoard(project, sshd, { BOARD_KEY: join(sshd.folder, 'stranger') });
      const { status, stdout } = await project.run(DEPLOY);
      expect(status).toBe(1);
      expect(stdout).toMatch(
        /board \(127\.0\.0\.1:\d+\) does not let \S+ in\n {2}see the key: "config" shows BOARD_KEY and BOARD_USER/,
      );
    });

    test('a public port is shown to the world and kept', async () => {
      const status = await project.run(['status', '--json']);
      const [board] = (JSON.parse(status.stdout) as { devices: { name: string; url: string }[] }).devices;
      expect(board).toMatchObject({ name: 'board', url: project.url() });
    });
  },
);

const cannotMount = missingTools ?? (process.getuid?.() === 0 ? null : 'root (to mount a small file system)');

describe.skipIf(cannotMount !== null)(
  `a disk that is full${cannotMount === null ? '' : ` (skipped: no ${cannotMount})`}`,
  () => {
    let sshd: Sshd;
    let project: Project;
    const MIB = 1024 * 1024;

    beforeAll(async () => {
      sshd = await startSshd();
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'tmpfs', sshd.root]);
      project = new Project({ root: sshd.root });
      useBoard(project, sshd);
      project.write('extra', '');
      project.replace(
        'tasks.ts',
        "{ from: 'server.py', to: 'server.py' }]",
        "{ from: 'server.py', to: 'server.py' }, { from: 'extra', to: 'extra' }]",
      );
      project.replace('tasks.ts', "inputs: ['server.py']", "inputs: ['server.py', 'extra']");
      expect(await project.run(DEPLOY)).toMatchObject({ status: 0 });
    });

    afterAll(async () => {
      await project.stop();
      execFileSync('umount', [sshd.root]);
      await sshd.stop();
    });

    test('a release that does not fit is refused before anything is sent: status 3', async () => {
      const old = project.current() ?? '';
      writeFileSync(project.path('extra'), randomBytes(20 * MIB));
      const { status, stdout } = await project.run(DEPLOY);
      expect([status, stdout]).toEqual([
        3,
        expect.stringMatching(/the release does not fit on board: \d+ MB of disk free, \d+ MB needed\n/),
      ]);
      expect(stdout).not.toContain('upload');
      await oneReleaseAnswers(project, [old], 'no room');
    });

    test('a disk that fills up during the upload: put back, status 1; with room again the deploy goes well', async () => {
      const old = project.current() ?? '';
      // Asked for room, the board says that there is enough; then somebody else takes it.
      writeFileSync(project.path('extra'), randomBytes(4 * MIB));
      const hog = project.path('hog.mjs');
      writeFileSync(hog, HOG.replace('ROOT', sshd.root));
      const { status, stdout } = await project.run(DEPLOY, { preload: [`file://${hog}`] });
      execFileSync('rm', ['-f', join(sshd.root, 'hog')]);
      expect([status, stdout]).toEqual([
        1,
        expect.stringContaining('ENOSPC\n  make room on that disk (df -h), then run it again\n'),
      ]);
      await oneReleaseAnswers(project, [old], 'disk full');
      const again = await project.run(DEPLOY);
      expect(again.status, again.stdout).toBe(0);
    });
  },
);

/** Fills the board's disk as soon as the upload is announced. */
const HOG = `
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
const { writeSync } = fs;
fs.writeSync = (fd, bytes, ...rest) => {
  if (String(bytes).includes('"line":"changes board: upload')) {
    try { fs.writeFileSync('ROOT/hog', Buffer.alloc(64 * 1024 * 1024)); } catch {}
  }
  return writeSync(fd, bytes, ...rest);
};
syncBuiltinESMExports();
`;
