import { appendFileSync, existsSync, mkdirSync, readFileSync, truncateSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../device/poll.ts';
import { Terminal } from '../e2e-platform/terminal.ts';
import { ELF, elf, zip } from '../programs.ts';
import { ARM64, HOUR_BEHIND, fakeBoard } from './fake-board.ts';
import { Project, TSX } from './project.ts';

const SECRET = 'hunter2-hunter2';
const NOTHING_REAL = 'REHEARSAL: nothing reached a real board\n';
let project: Project;

beforeAll(() => {
  project = new Project();
  project.replace('tasks.ts', "name: 'hello',\n", "name: 'hello',\n  secrets: ['API_TOKEN'],\n");
  project.write('.env.rehearsal', `API_TOKEN=${SECRET}\n`);
  project.replace(
    'server.py',
    'ThreadingHTTPServer((',
    `print("ready with ${SECRET}", flush=True)\nThreadingHTTPServer((`,
  );
});

afterAll(() => project.stop());

describe('before the first release', () => {
  test('doctor changes nothing, and says that nothing stands against a deploy', async () => {
    const { status, stdout, stderr } = await project.run(['doctor', '--json']);
    expect([status, stderr]).toEqual([0, NOTHING_REAL]);
    const { devices } = JSON.parse(stdout) as {
      devices: { name: string; checks: { check: string; state: string }[] }[];
    };
    expect(devices).toMatchObject([{ name: 'rehearsal', budget: { sumMb: 320, boardMb: 1024, headroomMb: 704 } }]);
    expect(devices[0]?.checks.map(({ check }) => check)).toEqual([
      'secrets',
      'clock',
      'root',
      'temperature',
      'python',
      'sudo',
      'boot',
      'release',
      'disk',
      'memory',
    ]);
    expect(devices[0]?.checks.filter(({ state }) => state === 'problem')).toEqual([]);
    expect(existsSync(join(project.root, 'state'))).toBe(false);
  });

  test('a missing secret is a finding, and keeps nobody from asking the device', async () => {
    project.write('.env.rehearsal', '');
    const { status, stdout } = await project.run(['doctor']);
    project.write('.env.rehearsal', `API_TOKEN=${SECRET}\n`);
    expect(status).toBe(3);
    expect(stdout).toMatch(/ {2}problem {2}secrets +the secret API_TOKEN is not set[^]* {2}ok {7}clock/);
    expect(stdout).toContain('  a deploy would be refused: secrets\n');
  });

  test('there is nothing to show, to run in, or to tell', async () => {
    const [logs, exec, audit] = await Promise.all([
      project.run(['logs', 'web']),
      project.run(['exec', '--', 'true']),
      project.run(['audit']),
    ]);
    expect(logs).toMatchObject({ status: 2, stderr: 'slipway: no service web\n  rehearsal has none yet\n' });
    expect(exec.status).toBe(1);
    expect(exec.stderr).toContain('rehearsal refused (no-such-release): there is no current release yet');
    expect(audit.status).toBe(0);
  });

  test('a clock that is an hour off refuses a deploy before anything is sent, and doctor says what to do', async () => {
    const preload = [fakeBoard(project, HOUR_BEHIND)];
    const deploy = await project.run(['deploy'], { preload });
    expect(deploy.status).toBe(3);
    expect(deploy.stdout).toMatch(
      /rehearsal cannot take a release now: clock: (1 h 0 min|59 min 59 s) behind this machine's: TLS and signed orders fail \(see which of the two is wrong/,
    );
    expect(deploy.stdout).not.toContain('upload');
    expect(existsSync(join(project.root, 'blobs'))).toBe(false);
    const doctor = await project.run(['doctor'], { preload });
    expect(doctor.status).toBe(3);
    expect(doctor.stdout).toContain('  a deploy would be refused: clock\n');
  });

  test('an amd64 wheel for an arm64 board is refused before a byte is sent, and named', async () => {
    const tasks = project.read('tasks.ts');
    mkdirSync(project.path('wheels'));
    const wheel = 'numpy-2.1-cp311-cp311-manylinux2014_x86_64.whl';
    writeFileSync(project.path(`wheels/${wheel}`), zip({ 'numpy/core.so': elf(ELF.x86_64) }));
    project.replace('tasks.ts', "to: 'server.py' }], system", "to: 'server.py' }], wheels: 'wheels', system");
    project.replace('tasks.ts', "inputs: ['server.py']", "inputs: ['server.py', 'wheels/**']");
    const preload = [fakeBoard(project, ARM64)];
    const deploy = await project.run(['deploy'], { preload });
    expect(deploy.status).toBe(3);
    expect(deploy.stdout).toContain(`wheels/${wheel} is for x86_64; rehearsal is aarch64: build it for rehearsal`);
    expect(existsSync(join(project.root, 'blobs'))).toBe(false);
    const doctor = await project.run(['doctor'], { preload });
    expect(doctor.status).toBe(3);
    expect(doctor.stdout).toContain(`problem  release      wheels/${wheel} is for x86_64; the device is aarch64`);
    project.write('tasks.ts', tasks);
  });

  test('services that do not fit are refused with the budget as a table', async () => {
    const tasks = project.read('tasks.ts');
    project.replace('tasks.ts', 'memoryMb: 64', 'memoryMb: 900');
    const { status, stdout } = await project.run(['deploy']);
    project.write('tasks.ts', tasks);
    expect(status).toBe(3);
    for (const line of ['web                900 MB', 'operating system   256 MB', 'missing            132 MB'])
      expect(stdout).toContain(line);
  });
});

describe('with a release', () => {
  beforeAll(async () => {
    expect(await project.run(['deploy'])).toMatchObject({ status: 0 });
  });

  test('status tells what each service takes, and how the device is', async () => {
    const { stdout } = await project.run(['status', '--device', 'rehearsal', '--json']);
    const current = project.current();
    const number = expect.any(Number) as number;
    const { devices } = JSON.parse(stdout) as { devices: object[] };
    expect(devices.map((device) => ({ ...device, temperature: null }))).toEqual([
      {
        name: 'rehearsal',
        url: project.url(),
        current,
        releases: [{ id: current, state: 'confirmed' }],
        services: [{ name: 'web', state: 'running', memoryMb: number }],
        memory: { totalMb: number, availableMb: number },
        disk: { totalBytes: number, freeBytes: number, freeInodes: number },
        temperature: null,
        lock: null,
        switch: expect.objectContaining({ state: 'confirmed', release: current, deadline: null }) as object,
      },
    ]);
    const shown = await project.run(['status']);
    expect(shown.stdout).toMatch(/\n {2}web +running {2}[\d.]+ MB\n {2}memory {2}\d+ MB of \d+ MB free\n {2}disk/);
  });

  test('a device that is not configured gets a suggestion', async () => {
    for (const verb of [['doctor'], ['logs', 'web']])
      expect(await project.run([...verb, '--device', 'rehersal'])).toMatchObject({
        status: 2,
        stderr: 'slipway: device rehersal is not configured\n  did you mean rehearsal?\n',
      });
  });

  test('logs shows the end of the log, secrets masked; a wrong name gets a suggestion', async () => {
    expect(await project.run(['logs', 'web', '-n', '1'])).toEqual({
      status: 0,
      signal: null,
      stdout: 'ready with ***\n',
      stderr: '',
    });
    expect(await project.run(['logs', 'wep'])).toMatchObject({
      status: 2,
      stderr: 'slipway: no service wep\n  did you mean web?\n',
    });
  });

  test('followed, it goes on until Ctrl-C: 130, as of any command that a signal ends', async () => {
    const following = project.start(['logs', 'web', '-f', '-n', '0']);
    const log = join(project.root, 'logs/web.log');
    let sent = 0;
    await until('a line comes through', () => {
      appendFileSync(log, `line ${String(sent++)} of ${SECRET}\n`);
      return following.text().includes('of ***\n');
    });
    following.child.kill('SIGINT');
    expect(await following.ended).toMatchObject({ status: 130, stderr: '' });
  });

  test('it ends with 0 when nobody reads it any more', async () => {
    const log = join(project.root, 'logs/web.log');
    const following = project.start(['logs', 'web', '-f', '-n', '1']);
    await until('it began', () => following.text() !== '');
    following.child.stdout?.destroy();
    const ended = following.ended;
    let done = false;
    void ended.then(() => (done = true));
    await until('it noticed', () => {
      appendFileSync(log, 'more\n');
      return done;
    });
    expect((await ended).status).toBe(0);
  });

  test('exec passes output and status on, and no shell sees its argv', async () => {
    const said = await project.run([
      'exec',
      '--',
      'python3',
      '-c',
      'import os, sys; print(sys.argv[1], os.environ["RELEASE_ID"])',
      '$HOME *',
    ]);
    expect(said).toEqual({
      status: 0,
      signal: null,
      stdout: `$HOME * ${project.current() ?? ''}\n`,
      stderr: NOTHING_REAL,
    });
    const failed = await project.run(['exec', '--', 'sh', '-c', `echo ${SECRET} >&2; exit 125`]);
    expect(failed).toMatchObject({ status: 125, stderr: `***\n${NOTHING_REAL}` });
    const beyond = await project.run(['exec', '--', 'sh', '-c', 'exit 130']);
    expect(beyond).toMatchObject({ status: 1, stderr: `the command ended with status 130\n${NOTHING_REAL}` });
    expect(await project.run(['exec', '--', 'no-such-command'])).toMatchObject({ status: 1 });
  });

  test('Ctrl-C ends a command there, too', async () => {
    const running = project.start([
      'exec',
      '--',
      'sh',
      '-c',
      'echo began; trap "echo told; exit" TERM; while :; do sleep 0.1; done',
    ]);
    await until('it began', () => running.text().includes('began'));
    running.child.kill('SIGINT');
    const { status, stdout } = await running.ended;
    expect([status, stdout]).toEqual([130, 'began\ntold\n']);
  });

  test('a shell without a terminal is refused', async () => {
    expect(await project.run(['shell'])).toMatchObject({
      status: 3,
      stderr: expect.stringContaining('a shell needs a terminal') as string,
    });
  });

  test('a shell begins in the release, and both journals have its beginning and end', async () => {
    const terminal = new Terminal([process.execPath, '--import', TSX, 'tasks.ts', 'shell'], {
      cwd: project.dir,
      env: project.env({ SHELL: '/bin/sh' }),
    });
    try {
      await until('it began', () => terminal.text.includes('"exit" ends it'));
      terminal.type('echo in $(basename $PWD) of $RELEASE_ID; exit 5\n');
      expect(await terminal.status()).toBe(0);
      const current = project.current() ?? '';
      expect(terminal.text).toContain(`in ${current} of ${current}\n`);
    } finally {
      terminal.close();
    }
    const ops = readFileSync(join(project.root, 'state/journal.jsonl'), 'utf8').trimEnd().split('\n').slice(-2);
    expect(ops.map((line) => JSON.parse(line) as { op: string; args: object })).toMatchObject([
      { op: 'shell.begin' },
      { op: 'shell.end', args: { status: 5 } },
    ]);
    expect(project.journal().map(({ type }) => type)).toEqual(['run-started', 'run-finished']);
  });

  test('audit tells who did what, and what was cut short on either side', async () => {
    const { stdout, stderr } = await project.run(['audit']);
    expect(stderr).toBe('');
    expect(stdout).toMatch(
      / {2}tester@\S+ {2}run \S+: done\n {2}deploy {2}on rehearsal\n {4}\S+ {2}rehearsal: upload\./,
    );
    expect(stdout).toContain(`rehearsal: link path=current target=releases/${project.current() ?? ''}\n`);
    expect(stdout).toContain('rehearsal: release.exec argv=sh -c ');
    expect(stdout).toContain(': failed (exit-non-zero 125)\n');
    expect(stdout).not.toContain(SECRET);

    const here = project.path(`.slipway/runs/${project.runs().at(-1) ?? ''}/journal.jsonl`);
    const there = join(project.root, 'state/journal.jsonl');
    for (const path of [here, there]) truncateSync(path, statSync(path).size - 10);
    const cut = await project.run(['audit', '--json']);
    expect(cut.status).toBe(0);
    const told = JSON.parse(cut.stdout) as {
      runs: { operations: unknown[] }[];
      gaps: { where: string; cutShort: boolean }[];
    };
    expect(told.gaps.map(({ where, cutShort }) => [where.replace(/ \d\S+/, ''), cutShort])).toEqual([
      ['run here', true],
      ['rehearsal', true],
    ]);
    const operations = told.runs.flatMap((run) => run.operations);
    expect(operations.length).toBe(stdout.split('  rehearsal: ').length - 2);
    expect((await project.run(['audit'])).stderr).toContain(
      'the journal of rehearsal: the last line was cut short; the rest is as it was written\n',
    );
  });
});
