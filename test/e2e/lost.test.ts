import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Cable } from '../device/cable.ts';
import { until } from '../device/poll.ts';
import { missingTools, startSshd, type Sshd } from '../device/sshd.ts';
import { useBoard } from './board.ts';
import { oneReleaseAnswers } from './crash.ts';
import { Project, inProject } from './project.ts';

const DEPLOY = ['deploy', '--to', 'board'];

describe.skipIf(missingTools !== null)(
  `a board that goes away${missingTools === null ? '' : ` (skipped: no ${missingTools})`}`,
  () => {
    let [sshd, cable]: [Sshd | null, Cable | null] = [null, null];
    let project: Project;
    let [old, good] = ['', ''];

    beforeAll(async () => {
      const server = await startSshd();
      sshd = server;
      cable = await Cable.to(server.device.port ?? 0);
      project = new Project({ root: server.root, patience: { healthyTimes: 1, healthyTimeoutMs: 20_000 } });
      const knownHosts = join(server.folder, 'known_hosts_cable');
      writeFileSync(knownHosts, `[127.0.0.1]:${String(cable.port)} ${server.hostKeys['ed25519'] ?? ''}\n`);
      useBoard(project, server, {
        BOARD_PORT: String(cable.port),
        BOARD_KNOWN_HOSTS: knownHosts,
        BOARD_RECONNECT_S: '2',
      });
      expect((await project.run(DEPLOY)).status).toBe(0);
      [old, good] = [project.current() ?? '', project.read('server.py')];
    });

    afterAll(async () => {
      await project.stop();
      await cable?.unplug();
      await sshd?.stop();
    });

    beforeEach(() => project.write('server.py', good));

    test('half-way: status 4 says what was not put back; with the device back, recover puts it back', async () => {
      project.edit();
      project.replace('server.py', 'os.environ.get("RELEASE_ID", "dev")', '"another"');
      const deploy = project.start(DEPLOY);
      await until('health is asked', () => deploy.text().includes('ask release.gate'), 30_000);
      await cable?.unplug();
      const ended = await deploy.ended;
      expect(ended.status, ended.stdout + ended.stderr).toBe(4);
      expect(ended.stdout).toMatch(
        /NOT PUT BACK: deploy\(to=board\)\S*: what became of the switch on board is not known \(unreachable\); unless it was confirmed, board takes it back by itself; finish it with: recover\n/,
      );

      const away = await project.run(['recover']);
      expect(away.status, away.stdout).toBe(4);
      const history = await project.run(['history', '--json']);
      expect((JSON.parse(history.stdout) as { outcome: string }[])[0]?.outcome).toBe('not-put-back');
      const refused = await project.run(DEPLOY);
      expect(refused.status).toBe(3);
      expect(refused.stderr).toContain('this would build on it, so nothing was done: run "recover" first');

      await cable?.plug();
      const recovered = await project.run(['recover']);
      expect(recovered.status, recovered.stdout).toBe(0);
      await oneReleaseAnswers(project, [old], 'recovered');
      expect((await project.run(['recover'])).stderr).toBe('nothing to recover\n');
    });

    test('for a moment: the deploy goes on over a new connection', async () => {
      project.edit();
      const deploy = project.start(DEPLOY);
      await until('health is asked', () => deploy.text().includes('ask release.gate'), 30_000);
      cable?.cut();
      const ended = await deploy.ended;
      expect(ended.status, ended.stdout).toBe(0);
      await oneReleaseAnswers(project, [project.packed()], 'cut');
      old = project.current() ?? '';
    });

    test('before: unreachable, status 1, nothing was changed', async () => {
      await cable?.unplug();
      const ended = await project.run(DEPLOY);
      await cable?.plug();
      expect(ended.status).toBe(1);
      expect(ended.stdout).toContain(
        `board (127.0.0.1:${String(cable?.port)}) cannot be reached: ECONNREFUSED\n  nothing listens there: see whether the device is up and sshd runs\n`,
      );
      await oneReleaseAnswers(project, [old], 'unreachable');
    });
  },
);

test('of two deploys at once one wins, and the other is told who does: status 3', () =>
  inProject({ patience: { healthyTimes: 25 } }, async (project) => {
    const first = project.start(['deploy']);
    await until('the first has the lock', () => first.text().includes('ask release.gate'), 30_000);
    const second = await project.run(['deploy']);
    expect(second.status, second.stdout).toBe(3);
    expect(second.stdout).toContain(
      `another run holds the lock deploy on rehearsal: run ${project.runs()[0] ?? ''} of tester@`,
    );
    expect((await first.ended).status).toBe(0);
    await oneReleaseAnswers(project, [project.packed()], 'two deploys');
  }));
