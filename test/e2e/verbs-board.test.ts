import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { missingTools, startSshd, type Sshd } from '../device/sshd.ts';
import { until } from '../device/poll.ts';
import { Terminal } from '../e2e-platform/terminal.ts';
import { useBoard } from './board.ts';
import { Project, TSX } from './project.ts';

interface Audit {
  readonly runs: readonly {
    readonly run: string;
    readonly who: string;
    readonly here: { readonly commandLine: string; readonly commit: string | null } | null;
    readonly operations: readonly { readonly op: string; readonly client: string }[];
  }[];
}

describe.skipIf(missingTools !== null)(
  `verbs on a board${missingTools === null ? '' : ` (skipped: no ${missingTools})`}`,
  () => {
    let sshd: Sshd;
    let [ann, bob]: Project[] = [];
    const need = (project: Project | undefined): Project => {
      if (project === undefined) throw new Error('no project');
      return project;
    };

    beforeAll(async () => {
      sshd = await startSshd();
      [ann, bob] = [new Project({ root: sshd.root }), new Project({ root: sshd.root })];
      for (const project of [ann, bob]) useBoard(project, sshd);
      expect(await ann.run(['deploy', '--to', 'board'], { env: { USER: 'ann' } })).toMatchObject({ status: 0 });
    });

    afterAll(async () => {
      await need(ann).stop();
      await need(bob).stop();
      await sshd.stop();
    });

    test('with a board configured, a verb for one device wants to know which', async () => {
      const { status, stderr } = await need(ann).run(['logs', 'web']);
      expect(status).toBe(3);
      expect(stderr).toContain('which device? BOARD_HOST is set, so say --device or DEPLOY_TO: board, rehearsal');
    });

    test('audit names both of two people, also to the one who knows only of herself', async () => {
      const said = await need(bob).run(['exec', '--device', 'board', '--', 'echo', 'hello'], { env: { USER: 'bob' } });
      expect(said).toMatchObject({ status: 0, stdout: 'hello\n', stderr: '' });
      const { stdout } = await need(ann).run(['audit', '--device', 'board', '--json'], { env: { USER: 'ann' } });
      const { runs } = JSON.parse(stdout) as Audit;
      expect(runs.map(({ who, here }) => [who.replace(/@.*/, ''), here?.commandLine ?? null])).toEqual([
        ['ann', 'deploy --to board'],
        ['bob', null],
      ]);
      expect(runs[1]?.operations).toMatchObject([
        { op: 'release.exec', client: expect.stringMatching(/^bob@./) as string },
      ]);
      const shown = await need(bob).run(['audit'], { env: { USER: 'bob' } });
      expect(shown.stdout).toMatch(/ {2}ann@\S+ {2}run \S+: from another machine\n {4}\S+ {2}board: upload\./);
      expect(shown.stdout).toMatch(/ {2}bob@\S+ {2}run \S+: done\n {2}exec --device board -- echo hello {2}on board\n/);
    });

    test('a shell goes through ssh, host keys checked', async () => {
      const project = need(ann);
      const open = (): Terminal =>
        new Terminal([process.execPath, '--import', TSX, 'tasks.ts', 'shell', '--device', 'board'], {
          cwd: project.dir,
          env: project.env(),
        });
      const terminal = open();
      try {
        await until('it began', () => terminal.text.includes('"exit" ends it'));
        terminal.type('echo in $(basename $PWD) of $RELEASE_ID; exit 7\n');
        expect(await terminal.status()).toBe(0);
        const current = project.current() ?? '';
        expect(terminal.text).toContain(`in ${current} of ${current}\n`);
      } finally {
        terminal.close();
      }
      const ended = await project.run(['audit', '--device', 'board', '--json']);
      const ops = (JSON.parse(ended.stdout) as Audit).runs.at(-1)?.operations ?? [];
      expect(ops.map(({ op }) => op)).toEqual(['shell.begin', 'shell.end']);
    });

    test('doctor says why a board cannot be reached, and what to look at', async () => {
      const project = need(bob);
      useBoard(project, sshd, { BOARD_PORT: '1' });
      const doctor = await project.run(['doctor']);
      useBoard(project, sshd);
      expect(doctor.status).toBe(3);
      expect(doctor.stdout).toMatch(
        /^board\n {2}problem {2}connection {2}board \(127\.0\.0\.1:1\) cannot be reached: ECONNREFUSED\n {23}→ nothing listens there/,
      );
    });
  },
);
