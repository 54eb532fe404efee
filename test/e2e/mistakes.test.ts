import { mkdirSync, renameSync, rmSync, rmdirSync, symlinkSync, writeFileSync, appendFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { execFileSync } from 'node:child_process';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { dying, oneReleaseAnswers } from './crash.ts';
import { Project, type CommandOptions } from './project.ts';

let project: Project;
let [old, tasks, server] = ['', '', ''];

beforeAll(async () => {
  project = new Project();
  [tasks, server] = [project.read('tasks.ts'), project.read('server.py')];
  expect((await project.run(['deploy'])).status).toBe(0);
  old = project.current() ?? '';
});

afterAll(() => project.stop());

afterEach(async () => {
  project.write('tasks.ts', tasks);
  project.write('server.py', server);
  for (const file of ['.env', '.env.board', '.env.rehearsal'])
    rmSync(project.path(file), { recursive: true, force: true });
  await oneReleaseAnswers(project, [old], 'after a mistake');
});

/** What is said on both streams, and the status. */
async function told(
  args: readonly string[],
  options?: CommandOptions,
): Promise<{ readonly status: number | null; readonly text: string }> {
  const { status, stdout, stderr } = await project.run(args, options);
  return { status, text: stdout + stderr };
}

const usage = (message: string, next: string): { status: number; text: string } => ({
  status: 2,
  text: `slipway: ${message}\n  ${next}\n`,
});

describe('a command line that is wrong', () => {
  test.each([
    [['deplyo'], 'no task or verb is called deplyo', 'did you mean deploy?'],
    [['rollback', '--relase', 'x'], 'rollback has no param or flag --relase', 'did you mean --release?'],
    [['deploy', '--dry-rnu'], 'deploy has no param or flag --dry-rnu', 'did you mean --dry-run?'],
    [['deploy', '--jobs', 'x'], '--jobs must be a whole number from 1 to 1024, not x', 'type -j 4'],
    [['show', 'x'], 'there is no run x', '"history" lists the runs that are kept'],
    [
      ['apply', 'none.json'],
      'none.json cannot be read (ENOENT)',
      'write one with --dry-run --connected --out plan.json',
    ],
    [
      ['deploy', '--to', 'board'],
      'device board is not configured: BOARD_HOST is not set',
      'write BOARD_HOST=… into .env.board, or choose another device with --to',
    ],
  ])('%j', async (args, message, next) => {
    expect(await told(args)).toEqual(usage(message, next));
  });

  test.each([
    ['color', '--color reed', 'red', 'did you mean red?'],
    ['number', '--number x', 'a number', '--help paint shows its params'],
  ])('a param of the wrong type: %s', async (_type, args, expected, next) => {
    const paint =
      "const paint = task('paint', { summary: 'Paints.', params: { color: choice({ summary: 'which', choices: ['red', 'blue'], default: 'red' }), number: number({ summary: 'how many', default: 1 }) }, steps: () => undefined });\n";
    project.write(
      'tasks.ts',
      tasks
        .replace('import { ', 'import { choice, number, ')
        .replace('await main', () => `${paint}await main`)
        .replace('tasks: [', 'tasks: [paint, '),
    );
    const { status, text } = await told(['paint', ...args.split(' ')]);
    expect([status, text]).toEqual([2, expect.stringContaining(next)]);
    expect(text).toContain(expected);
  });
});

describe('tasks that are wrong', () => {
  const add = (declared: string, names: string): void =>
    project.write(
      'tasks.ts',
      tasks.replace('await main', () => `${declared}\nawait main`).replace('tasks: [', () => `tasks: [${names}, `),
    );

  test('a circle is told with each place', async () => {
    add(
      "const one = task('one', { summary: '1', needs: () => ({ two: two() }) });\nconst two: ReturnType<typeof task> = task('two', { summary: '2', needs: () => ({ one: one() }) });",
      'one, two',
    );
    const { status, text } = await told(['one']);
    expect(status).toBe(2);
    expect(text).toMatch(
      /^slipway: tasks need each other in a circle: one \(\S+tasks\.ts:\d+\) → two \(\S+tasks\.ts:\d+\) → one \(\S+tasks\.ts:\d+\)\n {2}remove one of these needs\n$/,
    );
  });

  test('two tasks of one name', async () => {
    add("const other = task('build', { summary: 'Another.', steps: () => undefined });", 'other');
    const { status, text } = await told(['deploy']);
    expect(status).toBe(2);
    expect(text).toMatch(
      /^slipway: two tasks are named build: \S+:\d+ and \S+:\d+\n {2}give one of them another name\n$/,
    );
  });

  test('outputs that overlap', async () => {
    add(
      "const other = task('other', { summary: 'Another.', needs: { build: build() }, inputs: [], outputs: ['.slipway/build/tree/**'], steps: () => undefined });",
      'other',
    );
    expect(await told(['other'])).toEqual(
      usage(
        'the outputs of build (.slipway/build/**) and of other (.slipway/build/tree/**) overlap',
        'give each task output folders of its own',
      ),
    );
  });
});

describe('configuration that is wrong', () => {
  test('an unreadable .env', async () => {
    mkdirSync(project.path('.env'));
    expect(await told(['deploy'])).toEqual(
      usage('.env cannot be read (EISDIR)', 'make .env a readable file, or remove it'),
    );
  });

  test('a malformed .env', async () => {
    project.write('.env', 'GOOD=1\nfoo bar\n');
    expect(await told(['deploy'])).toEqual(
      usage('.env line 2 is not KEY=value', 'correct line 2 of .env, or begin it with #'),
    );
  });

  test.each(['deploy --to board', 'deploy --to board --dry-run', 'status'])('a port that is none: %s', async (line) => {
    project.write('.env.board', 'BOARD_HOST=localhost\nBOARD_PORT=abc\n');
    expect(await told(line.split(' '))).toEqual(
      usage('BOARD_PORT is "abc" (.env.board): a port is a number from 1 to 65535', 'correct BOARD_PORT in .env.board'),
    );
  });

  test('a public port of the rehearsal device that is none', async () => {
    const wrong = usage(
      'REHEARSAL_HTTP_PORT is "abc" (.env): a port is a number from 1 to 65535',
      'correct REHEARSAL_HTTP_PORT in .env',
    );
    project.write('.env', 'REHEARSAL_HTTP_PORT=abc\n');
    expect(await told(['deploy'])).toEqual(wrong);
  });

  test('a secret that is missing', async () => {
    project.replace('tasks.ts', 'keep: 3,', "keep: 3, secrets: ['TOKEN'],");
    project.write('.env.rehearsal', 'OTHER=1\n');
    const { status, text } = await told(['deploy']);
    expect([status, text]).toEqual([
      2,
      'slipway: the secret TOKEN is not set: .env.rehearsal\n  set it there; "config" shows every setting\'s source\n',
    ]);
  });

  test('which device is meant, once a real one is configured', async () => {
    project.write('.env.board', 'BOARD_HOST=localhost\n');
    const { status, text } = await told(['deploy']);
    expect([status, text]).toEqual([
      3,
      expect.stringContaining('which device? BOARD_HOST is set, so say --to or DEPLOY_TO: board, rehearsal'),
    ]);
  });
});

describe('a device on which something is wrong', () => {
  test('the public port is taken: refused before anything is stopped', async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
    const { port } = holder.address() as AddressInfo;
    project.edit();
    const { status, text } = await told(['deploy'], { env: { REHEARSAL_HTTP_PORT: String(port) } });
    await new Promise((resolve) => holder.close(resolve));
    expect([status, text]).toEqual([
      3,
      expect.stringContaining(`port ${String(port)} of web is in use by process ${String(process.pid)}\n`),
    ]);
    expect(text).not.toContain('stop service');
  });

  test('there is no python3', async () => {
    mkdirSync(project.path('bin'), { recursive: true });
    for (const name of ['node', 'sh', 'ssh-keygen'])
      symlinkSync(execFileSync('which', [name]).toString().trim(), project.path(`bin/${name}`));
    const { status, text } = await told(['deploy'], { env: { PATH: project.path('bin') } });
    expect([status, text]).toEqual([
      1,
      expect.stringContaining(
        'rehearsal needs Python 3.8 or newer, and has none\n  install python3 there, or put it on the PATH that ssh sees\n',
      ),
    ]);
  });

  test('current is a folder', async () => {
    const current = `${project.root}/current`;
    renameSync(current, `${current}.link`);
    mkdirSync(current);
    project.edit();
    const { status, text } = await told(['deploy']);
    rmdirSync(current);
    renameSync(`${current}.link`, current);
    expect([status, text]).toEqual([
      1,
      expect.stringContaining(
        'rehearsal refused (current-not-a-link): current is no link to releases/ID; put it right by hand\n',
      ),
    ]);
  });

  test('the journal ends in the middle of a line', async () => {
    project.edit();
    expect(
      (await project.run(['deploy'], dying(1, 'within', { like: '"line":"changes rehearsal: start' }))).signal,
    ).toBe('SIGKILL');
    const run = project.runs().at(-1) ?? '';
    const refused = await told(['deploy']);
    expect([refused.status, refused.text]).toEqual([
      3,
      expect.stringContaining(`run ${run} (deploy(to=rehearsal)) was cut off`),
    ]);
    expect((await told(['show', run])).text).toContain('(the journal ends in the middle of a line)\n');
    expect(await project.run(['recover'])).toMatchObject({ status: 0 });
  });
});

describe('a release with something odd in it', () => {
  const include = (): void =>
    project.replace(
      'tasks.ts',
      "{ from: 'server.py', to: 'server.py' }]",
      "{ from: 'server.py', to: 'server.py' }, { from: 'extra', to: 'extra' }]",
    );
  afterEach(() => rmSync(project.path('extra'), { recursive: true, force: true }));

  test('a link that leaves the tree', async () => {
    mkdirSync(project.path('extra'));
    symlinkSync('../../home', project.path('extra/out'));
    include();
    const { status, text } = await told(['deploy']);
    expect([status, text]).toEqual([
      3,
      expect.stringContaining('"extra/out" is a link that leaves the release: "../../home"'),
    ]);
  });

  test('an .env file', async () => {
    mkdirSync(project.path('extra'));
    writeFileSync(project.path('extra/.env.local'), 'A=1\n');
    include();
    const { status, text } = await told(['deploy']);
    expect([status, text]).toEqual([3, expect.stringContaining('"extra/.env.local" never goes into a release')]);
  });

  test('names with newlines, quotes and leading dashes go over', async () => {
    mkdirSync(project.path('extra'));
    const names = ['a\nb', '-rf', '--help', `"it's"`, '$(id)', ' ', 'ü'];
    for (const name of names) appendFileSync(`${project.path('extra')}/${name}`, name);
    include();
    expect(await told(['deploy'])).toMatchObject({ status: 0 });
    old = project.packed();
  });
});
