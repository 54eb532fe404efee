import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ROOT } from './hello.ts';
import { LAUNCHER, Launched, TASKS, word } from './launched.ts';
import { mounts } from './mounts.ts';

const SHIPPED = ['launch.cjs', 'launch/build.mjs', 'launch/nearest.mjs', 'launch/tsconfig.mjs'];

let project: Launched;
beforeEach(() => {
  project = new Launched();
});
afterEach(() => project.close());

test('the first run is under tsx, the next ones are from a bundle, and say the same', async () => {
  expect(await project.performed()).toBe('tsx one');
  expect(project.manifest().refused).toBeNull();
  expect(await project.launch(['say'])).toMatchObject({ said: 'bundle one', status: 0 });
  const listed = await project.launch(['--list']);
  expect(listed.said).toBe('bundle one');
  const plain = await project.must(process.execPath, ['--import', 'tsx', 'tasks.ts', '--list']);
  expect(listed.rest).toBe(plain);
  // What is not bundled is found where it lies, and what is has been taken down.
  const paths = project.manifest().sources.map(({ path }) => path);
  for (const path of [...SHIPPED.map((name) => join(ROOT, 'scripts', name)), join(ROOT, 'lib/host/process.ts')])
    expect(paths).toContain(path);
  expect(lstatSync(project.folder).mode & 0o777).toBe(0o700);
});

test('a run from a bundle that starts no command loads no package, and of Node nothing that only commands need', async () => {
  const idle = "const idle = task('idle', { summary: 'Idles.', steps: () => {} });\n";
  const tasks = TASKS.replace('await main', `${idle}await main`).replace('[say,', '[idle, say,');
  project.write('tasks.ts', `${tasks}process.stderr.write(process.moduleLoadList.join('\\n'));\n`);
  await project.performed();
  expect(readFileSync(project.bundle, 'utf8')).not.toMatch(/(?:^|[;}\n])import\s*(?:[{*"]|\w+ from)/);
  const loaded = async (task: string): Promise<readonly string[]> => {
    const { said, rest } = await project.launch([task]);
    expect(said).toBe('bundle one');
    return rest.split('\n');
  };
  expect(await loaded('say')).toContain('NativeModule child_process');
  // As long as sources are too young, each run begins another bundle.
  await expect.poll(() => loaded('idle'), { timeout: 60_000 }).not.toContain('NativeModule child_process');
});

test('never an answer of an old bundle: an edit of the same size, its time put back', async () => {
  await project.performed();
  const path = join(project.path, 'parts/word.ts');
  const { atime, mtime } = statSync(path);
  writeFileSync(path, word('two'));
  utimesSync(path, atime, mtime);
  expect(await project.performed()).toBe('tsx two');
  expect((await project.launch(['say'])).said).toBe('bundle two');
  writeFileSync(path, word('two'));
  // The same content is no change.
  expect((await project.launch(['--list'])).said).toBe('bundle two');
  rmSync(path);
  expect((await project.launch(['say'])).status).not.toBe(0);
});

test('what takes the place of a source makes the bundle old: another target of a link, a nearer package.json', async () => {
  writeFileSync(join(project.path, 'parts/other.ts'), word('other'));
  writeFileSync(join(project.path, 'parts/first.ts'), word('first'));
  rmSync(join(project.path, 'parts/word.ts'));
  symlinkSync('first.ts', join(project.path, 'parts/word.ts'));
  expect(await project.performed()).toBe('tsx first');
  expect((await project.launch(['--list'])).said).toBe('bundle first');
  rmSync(join(project.path, 'parts/word.ts'));
  symlinkSync('other.ts', join(project.path, 'parts/word.ts'));
  expect(await project.performed()).toBe('tsx other');
  writeFileSync(join(project.path, 'parts/package.json'), '{ "type": "module" }');
  expect((await project.launch(['--list'])).said).toBe('tsx other');
});

describe('a bundle that cannot be trusted', () => {
  const same = async (damage: () => void): Promise<void> => {
    await project.performed();
    damage();
    expect(await project.launch(['--list'])).toMatchObject({ said: 'tsx one', status: 0 });
  };
  test('cut short', () => same(() => truncateSync(project.bundle, 1000)));
  test('overwritten', () =>
    same(() => writeFileSync(project.bundle, readFileSync(project.bundle).fill('x', 100, 200))));
  test('gone', () => same(() => rmSync(project.bundle)));
  test('its manifest cut short', () => same(() => truncateSync(join(project.folder, 'manifest.json'), 1000)));
  test('its manifest of another form', () =>
    same(() => writeFileSync(join(project.folder, 'manifest.json'), '{"key":1}')));
  test('in a folder that others may enter', () => same(() => chmodSync(project.folder, 0o755)));
});

describe.skipIf(!mounts)(`a .slipway of its own${mounts ? '' : ' (skipped: unshare -rm is refused)'}`, () => {
  /** Performs it twice on what is mounted; how it was loaded, what else was said, and how many files there are of it. */
  const twice = async (mount: string, between = 'true'): Promise<readonly string[]> => {
    const say = `"$0" "$1" tasks.ts say 2>&1 >/dev/null`;
    // What makes the next bundle is there before a run ends, and takes its time; this shell is not it.
    const settled = `while pgrep -f 'launch/[b]uild.mjs ${project.path}' >/dev/null; do sleep 0.05; done`;
    const files = 'find .slipway/bundle -type f | wc -l';
    const script = `mount -t tmpfs ${mount} && ${say}; ${settled}; ${between} && ${say}; ${settled}; ${files}`;
    mkdirSync(join(project.path, '.slipway'));
    const argv = ['-rm', 'sh', '-c', script, process.execPath, LAUNCHER];
    const { status, stdout, stderr } = await project.run('unshare', argv);
    expect(status, stderr).toBe(0);
    return stdout.replaceAll(/ \/.*/g, '').trim().split('\n');
  };

  test('full: what cannot be kept is not, and nothing half-made is used', async () => {
    const full = 'tmpfs .slipway && head -c 65536 /dev/zero >.slipway/full 2>/dev/null';
    const nothing = 'nothing can be written to .slipway (ENOSPC): of this run nothing is kept';
    expect(await twice(`-o size=64k ${full}`)).toEqual(['tsx one', nothing, 'tsx one', nothing, '0']);
  });

  test('too small for a bundle: the same', async () => {
    expect(await twice('-o size=300k tmpfs .slipway')).toEqual(['tsx one', 'tsx one', '0']);
  });

  test('read-only: a bundle that is there is used', async () => {
    const [first, second, nothing, files] = await twice('tmpfs .slipway', 'mount -o remount,ro .slipway');
    expect([first, second, nothing]).toEqual([
      ...['tsx one', 'bundle one', 'nothing can be written to .slipway (EROFS): of this run nothing is kept'],
    ]);
    expect(Number(files)).toBeGreaterThanOrEqual(2);
  });
});

describe('what V8 compiled', () => {
  const code = (): string => `${project.bundle}.code`;
  /** As long as sources are too young, each run begins another bundle instead. */
  const kept = async (): Promise<void> => {
    await project.performed();
    await expect.poll(() => project.launch(['say']).then(() => existsSync(code())), { timeout: 60_000 }).toBe(true);
  };

  test('is kept after a run that was performed, and used by the next one', async () => {
    await kept();
    const { ino } = statSync(code());
    expect(await project.launch(['say'])).toMatchObject({ said: 'bundle one', status: 0 });
    // What V8 refuses would be made anew.
    expect(statSync(code()).ino).toBe(ino);
    rmSync(code());
    await project.launch(['--list']);
    await project.launch(['say', '--dry-run']);
    expect(existsSync(code())).toBe(false);
  });

  test('loads packages late, of either kind, as often as it runs', async () => {
    for (const [name, type, text] of [
      ['late-esm', 'module', 'export const word = "esm";'],
      ['late-cjs', 'commonjs', 'module.exports = { word: "cjs" };'],
    ] as const) {
      mkdirSync(join(project.path, 'parts/node_modules', name), { recursive: true });
      project.write(`parts/node_modules/${name}/package.json`, JSON.stringify({ name, type, main: 'main.js' }));
      project.write(`parts/node_modules/${name}/main.js`, text);
    }
    project.write(
      'parts/word.ts',
      `${word('one')}export const late = async () => [(await import('late-esm')).word, (await import('late-cjs')).default.word];`,
    );
    project.write(
      'tasks.ts',
      TASKS.replace('where, word', 'late, where, word').replace(
        'await main',
        'const heard = await late();\nprocess.stdout.write(`${heard}\\n`);\nawait main',
      ),
    );
    await kept();
    const { said, rest, status } = await project.launch(['say']);
    expect([said, status]).toEqual(['bundle one', 0]);
    expect(rest).toContain('esm,cjs');
  });

  test('is made anew where it is damaged, cut short, or of a Node with other options', async () => {
    await kept();
    const whole = readFileSync(code());
    const damaged = Buffer.from(whole).fill('x', 5_000, 6_000);
    for (const bytes of [damaged, whole.subarray(0, 4_000), Buffer.alloc(whole.length), Buffer.alloc(0)]) {
      writeFileSync(code(), bytes);
      expect(await project.launch(['say'])).toMatchObject({ said: 'bundle one', status: 0 });
      expect(readFileSync(code()).equals(bytes)).toBe(false);
    }
    const options = { NODE_OPTIONS: '--stack-trace-limit=20' };
    expect(await project.launch(['say'], options)).toMatchObject({ said: 'bundle one', status: 0 });
  });

  test('of a project that imports a package at its top is not: such a bundle stays a module', async () => {
    project.write('tasks.ts', `import { parse } from 'dotenv';\nexport const parsed = parse('A=1');\n${TASKS}`);
    await project.performed();
    expect(project.manifest().bundle).toMatch(/\.mjs$/);
    expect(await project.launch(['say'])).toMatchObject({ said: 'bundle one', status: 0 });
    expect(existsSync(code())).toBe(false);
  });
});

test('a tasks.ts that waits for ever, or fails, is no success', async () => {
  const odd = `if (process.env.ODD === 'wait') await new Promise(() => undefined);
if (process.env.ODD === 'fail') throw new Error('on purpose');\n`;
  project.write('tasks.ts', TASKS.replace('const say', `${odd}const say`));
  for (const how of ['tsx', 'bundle']) {
    const waits = await project.launch(['--list'], { ODD: 'wait' });
    expect(waits).toMatchObject({ said: `${how} one`, status: 13 });
    const fails = await project.launch(['--list'], { ODD: 'fail', NODE_OPTIONS: '--unhandled-rejections=warn' });
    expect(fails).toMatchObject({ said: `${how} one`, status: 2 });
    expect(fails.rest).toMatch(/slipway: on purpose\n {4}at .*\/tasks\.ts:\d+:\d+\)?\n$/);
    if (how === 'tsx') await project.performed();
  }
});

describe('a mistake in tasks.ts is told with where it is, status 2:', () => {
  test.each([
    ['a name', "task('A', { summary: 'A' });", /^slipway: a task's name is lower case .*\n {4}at .*\/tasks\.ts:3:/],
    ['what is not defined', 'nope();', /^slipway: ReferenceError: nope is not defined\n {4}at .*\/tasks\.ts:3:/],
    ['what is no error', "throw 'x';", /^slipway: x\n$/],
    ['with something left open', "setInterval(() => 0, 1000); throw new Error('broken');", /^slipway: broken\n {4}at /],
    [
      'with an odd code',
      "throw Object.assign(new Error('odd'), { code: 7 });",
      /^slipway: odd\n {4}at .*\/tasks\.ts:3:/,
    ],
    ['with a cause', "throw new Error('odd', { cause: new Error('deep') });", /^slipway: odd\n {2}because: deep\n/],
    ['what cannot be read', 'const = 1;', /^slipway: .*\n.*tasks\.ts:3:\d+: ERROR: [^\n]*\n$/],
    ['a file that is not there', "import './nowhere.ts';", /^slipway: Cannot find module .*nowhere\.ts[^\n]*\n$/],
    [
      'a timeout',
      "system({ name: 'x', keep: 1, services: [] });",
      /^slipway: keep must be .*\n {4}at .*\/tasks\.ts:3:/,
    ],
    [
      'steps',
      "const steps = (p) => void p.serve([{ name: 'x', argv: ['true'], after: ['y'] }]);\nawait main(import.meta, { tasks: [task('odd', { summary: 'o', steps })] });",
      /^slipway: x starts after y, which is no service\n {4}at .*\/tasks\.ts:3:/,
    ],
  ])('%s', async (_, mistake, told) => {
    project.write('tasks.ts', `import { main, system, task } from 'slipway';\nvoid main, system, task;\n${mistake}\n`);
    const { said, rest, status } = await project.launch(['odd']);
    expect(`${said}\n${rest}`).toMatch(told);
    expect(status).toBe(2);
  });

  test('steps, also of a task that is traced', async () => {
    const { rest, status } = await project.launch(['trace-inputs', 'fail']);
    expect(rest).toMatch(/^slipway: on purpose\n {4}at .*\/tasks\.ts:\d+:/);
    expect(status).toBe(2);
  });

  test('no module', async () => {
    project.write('package.json', '{}');
    const { rest, status } = await project.launch(['--list']);
    expect(rest).toContain('or name it tasks.mts\n');
    expect(status).toBe(2);
  });
});

test('a tasks.ts that never calls main is told what is missing; one that does not await it is none', async () => {
  project.write('tasks.ts', TASKS.replace('await main', 'void main'));
  expect(await project.performed()).toBe('tsx one');
  expect(await project.launch(['--list'])).toMatchObject({ said: 'bundle one', status: 0 });
  project.write('tasks.ts', TASKS.replace(/await main.*/, 'void [main, say, fail];'));
  const { said, rest, status } = await project.launch(['say']);
  expect([said, status]).toEqual(['tsx one', 2]);
  expect(rest).toBe(
    'slipway: tasks.ts never calls main, so nothing was done\n  write at its end: await main(import.meta, { tasks: [ … ] })\n',
  );
});

test('a project that is gone does not come back, and a tasks.ts that is gone refuses nothing', async () => {
  const build = (): ReturnType<Launched['run']> =>
    project.run(process.execPath, [
      ...[join(ROOT, 'scripts/launch/build.mjs'), join(project.path, 'gone/tasks.ts')],
      ...[join(project.path, 'gone/.slipway/bundle/1'), 'key'],
    ]);
  expect((await build()).status).toBe(1);
  expect(existsSync(join(project.path, 'gone'))).toBe(false);
  mkdirSync(join(project.path, 'gone'));
  expect((await build()).status).toBe(1);
  expect(readdirSync(join(project.path, 'gone/.slipway/bundle/1'))).toEqual([]);
});

test('a tasks.ts that exports something is bundled like any other', async () => {
  project.write('tasks.ts', `${TASKS}export const more = 1;\n`);
  await project.performed();
  expect(project.manifest().bundle).toMatch(/\.js$/);
  expect(await project.launch(['say'])).toMatchObject({ said: 'bundle one', status: 0 });
});

test('slipway names a package.json that cannot be read', async () => {
  project.write('package.json', '{');
  const [tsx, bin] = [join(ROOT, 'node_modules/tsx/dist/loader.mjs'), join(ROOT, 'lib/cli/bin.ts')];
  expect(await project.run(process.execPath, ['--import', tsx, bin, '--list'])).toMatchObject({
    status: 2,
    stderr: `slipway: ${project.path}/package.json is no JSON\n  correct it: it says what tasks.ts is\n`,
  });
});

test.each([
  ['more than it can be', "'x'.repeat(3_000_000)", 'too long together'],
  ['with a NUL byte', "'\\0'", 'NUL byte'],
])('an argument that no command can be given gets advice: %s', async (_, argument, advice) => {
  project.write('tasks.ts', TASKS.replace("['echo', word]", `['echo', ${argument}]`));
  const { status, rest } = await project.launch(['say']);
  expect(status).toBe(1);
  expect(rest).toContain(advice);
  expect(rest).not.toContain('ls -la');
});

test('the line that runs a failed task again does, where there is no npm script', async () => {
  project.write('tasks.ts', TASKS.replace("['echo', word]", "['false']"));
  const { rest, status } = await project.launch(['say']);
  expect(status).toBe(1);
  const [, again = ''] = /only this task again: (.*)/.exec(rest) ?? [];
  expect(await project.run('sh', ['-c', again])).toMatchObject({
    status: 1,
    stdout: expect.stringContaining(again) as string,
  });
});

test('a stack names the files that were written, and so does a task', async () => {
  await project.performed();
  const failed = await project.launch(['fail']);
  expect(failed.said).toBe('bundle one');
  expect(failed.rest).toContain(`${project.path}/tasks.ts:6:`);
  project.write('tasks.ts', TASKS.replace("task('fail'", "task('say'"));
  await project.launch(['--list']);
  const twice = await project.launch(['--list']);
  expect(twice.rest).toContain(`two tasks are named say: ${project.path}/tasks.ts:5 and ${project.path}/tasks.ts:6`);
});

test('a plan on paper writes nothing, and has nothing made', async () => {
  await project.performed();
  for (const state of ['bundle', 'tsx']) {
    const before = project.tree();
    expect(await project.launch(['say', '--dry-run'])).toMatchObject({ said: `${state} one`, status: 0 });
    expect(project.tree()).toEqual(before);
    writeFileSync(join(project.path, 'parts/word.ts'), `${word('one')}// edited\n`);
  }
});

test('modules that Node is told to load otherwise are left to tsx', async () => {
  await project.performed();
  project.write('hook.mjs', '');
  expect((await project.launch(['--list'], { NODE_OPTIONS: '--import ./hook.mjs' })).said).toBe('tsx one');
  expect((await project.launch(['--list'])).said).toBe('bundle one');
});
