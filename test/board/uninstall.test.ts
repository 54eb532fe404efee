import { existsSync, readFileSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../device/poll.ts';
import { Project } from '../e2e/project.ts';
import { board, BOARD_MS, boardMissing, targetOf } from './board.ts';

const DEPLOY = ['deploy', '--to', 'board'];

describe.skipIf(boardMissing !== null)(
  `hello under systemd${boardMissing === null ? '' : ` (skipped: ${boardMissing})`}`,
  () => {
    let real: Awaited<ReturnType<typeof board>>;
    let project: Project;
    let server = '';

    beforeAll(async () => {
      real = await board();
      const { host, port, key, knownHosts } = targetOf(real);
      project = new Project();
      server = readFileSync(project.path('server.py'), 'utf8');
      const settings = { HOST: host, PORT: port, USER: 'root', KEY: key, KNOWN_HOSTS: knownHosts, ROOT: '/srv/hello' };
      const more = { ...settings, HTTP_PORT: real.ports.http };
      project.write(
        '.env.board',
        Object.entries(more)
          .map(([name, value]) => `BOARD_${name}=${String(value)}\n`)
          .join(''),
      );
    }, BOARD_MS);

    afterAll(async () => {
      await project.stop();
    });

    const answers = (): Promise<string> => real.must(['python3', '-c', ASK.replace('PORT', String(real.ports.http))]);

    test('deployed, its changed unit shown as a diff, rolled back, and put back when it fails', async () => {
      expect(await project.run(DEPLOY)).toMatchObject({ status: 0 });
      const first = await answers();
      project.edit();
      project.replace('tasks.ts', 'memoryMb: 64', 'memoryMb: 80');
      expect(await project.run(['build'])).toMatchObject({ status: 0 });
      const shown = await project.run([...DEPLOY, '--dry-run', '--connected']);
      expect(shown.stdout).toMatch(
        /ask units\.diff .*\n +--- .*slipway-hello-web\.service\n[^]*-MemoryMax=64M\n +\+MemoryHigh=.*\n +\+MemoryMax=80M\n/,
      );
      expect(await project.run(DEPLOY)).toMatchObject({ status: 0 });
      const second = await answers();
      expect(second).not.toBe(first);
      expect(await project.run(['rollback', '--to', 'board'])).toMatchObject({ status: 0 });
      expect(await answers()).toBe(first);
      project.write('server.py', 'raise SystemExit("no configuration")\n');
      const failed = await project.run(DEPLOY);
      expect([failed.status, failed.stdout]).toEqual([
        1,
        expect.stringContaining('web ended with exit status 1 before it was ready\n'),
      ]);
      expect(failed.stdout).toContain('no configuration');
      expect(await answers()).toBe(first);
    });

    // The first comes back for its lock, the second for the outcome of its switch, without a lock.
    test.each([
      ['start service web', 7],
      ['call release.confirm', 8],
    ])(
      'a client that is back before the board has put back does not keep it from booting: %s',
      async (last, changes) => {
        const started = await answers();
        project.write('server.py', `${server}# ${last}\n`);
        const late = '/etc/systemd/system/slipway-hello-boot.service.d';
        const unit = '[Service]\\nExecStartPre=/bin/sleep 5\\n';
        await real.must([
          'sh',
          '-c',
          `mkdir ${late} && printf '${unit}' >${late}/late.conf && systemctl daemon-reload`,
        ]);
        const toldAt = project.path('told');
        const running = project.start(DEPLOY, {
          preload: [new URL('../e2e/die-at.ts', import.meta.url).href],
          env: {
            ...{ DIE: 'after', DIE_LINE: '1', DIE_LIKE: last, DIE_TOLD: toldAt },
            DIE_DO: JSON.stringify(['docker', 'kill', real.name]),
          },
        });
        await until('the power is off', () => existsSync(toldAt), 60_000);
        await real.on();
        const ended = await running.ended;
        expect([ended.status, ended.stdout]).toEqual([
          1,
          expect.stringContaining(`put back: ${String(changes)} changes\n`),
        ]);
        expect(await answers()).toBe(started);
        await real.must(['sh', '-c', `rm -r ${late} && systemctl daemon-reload`]);
        rmSync(toldAt);
      },
    );

    test('uninstall takes its name, leaves the data unless it is told, and nothing else', async () => {
      const refused = await project.run(['uninstall', 'board']);
      expect([refused.status, refused.stderr]).toEqual([3, expect.stringContaining('not confirmed: board')]);
      await real.must(['sh', '-c', 'echo kept > /srv/hello/shared/data/note']);
      expect(await project.run(['uninstall', 'board', '--confirm', 'board'])).toMatchObject({ status: 0 });
      expect(await real.must(['find', '/srv/hello', '-type', 'f'])).toBe('/srv/hello/shared/data/note');
      expect(await project.run(['uninstall', 'board', '--confirm', 'board', '--with-data'])).toMatchObject({
        status: 0,
      });
      expect(await real.must(['sh', '-c', 'ls -d /srv/hello /etc/systemd/system/slipway-* 2>/dev/null; true'])).toBe(
        '',
      );
    });
  },
);

/** Asks the service on the board itself: it listens on the board's loopback alone. */
const ASK = 'import urllib.request; print(urllib.request.urlopen("http://127.0.0.1:PORT/").read().decode())';
