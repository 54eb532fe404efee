import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Ended } from './command.ts';
import { Project } from './project.ts';

const missing = spawnSync('strace', ['-V']).error === undefined ? null : 'strace (apt-get install strace)';

const TASKS = `import { device, main, task } from 'slipway';
const sh = (script) => (p) => p.shell(script, { effect: 'derives' });
const make = (name, steps, spec = {}) => task(name, { summary: name, inputs: ['in/*.txt'], outputs: ['out/**'], ...spec, steps });
const lib = task('lib', { summary: 'What others need.', inputs: [], outputs: ['gen/**'], steps: sh('mkdir -p gen; echo g > gen/g.txt') });
const js = "require('fs').readFileSync('secret/settings.json'); require('child_process').execFileSync('sh', ['-c', 'cd secret && cat deep.txt > ../out/o.txt'])";
const all = [
  lib,
  make('declared', sh('cat in/a.txt gen/g.txt > out/o.txt'), { needs: { lib: lib() } }),
  make('reads', sh('cat in/a.txt other.txt > out/o.txt')),
  make('writes', sh('echo x > out/o.txt; echo y > stray.txt; rm -f in/b.txt')),
  make('child', (p) => p.run([process.execPath, '-e', js], { effect: 'derives' })),
  make('link', sh('cat link.txt > out/o.txt')),
  make('through', sh('cat linked/a.txt > out/o.txt'), { inputs: ['real/*.txt'] }),
  make('list', sh('ls in more > out/o.txt')),
  make('temporary', sh('echo x > t.tmp; mv t.tmp t2.tmp; cat t2.tmp > out/.o; rm t2.tmp; mv out/.o out/o.txt; mkdir d; echo 1 > d/1; mv d e; rm -r e; rm -r out/old; mkdir out/old; echo 1 > out/old/b; mv out/old out/~ld; rm -r out/~ld')),
  make('many', sh('cat src/*.js src/sub/*.js src/sub/deep/*.js alone.txt > out/o.txt')),
  make('packages', sh('cat node_modules/x/index.js node_modules/y/index.js > out/o.txt')),
  make('asks', sh('cat main.py > out/o.txt'), { inputs: ['main.py'], env: ['DECLARED'] }),
  make('odd', (p) => p.run(['cp', "it's ä\\"n\\n.txt", 'out/o.txt'], { effect: 'derives' })),
  make('special', sh('cat "app/(auth)/p[1].ts" "!bang" > out/o.txt')),
  make('pasted', sh('cat "app/(auth)/p[1].ts" "!bang" > out/o.txt'), { inputs: ['\\\\!bang', 'app/\\\\(auth\\\\)/p\\\\[1\\\\].ts'] }),
  make('fails', sh('cat other.txt; exit 3')),
  make('own', (p) => { p.write('out/w.txt', 'w', { effect: 'derives' }); p.write('stray2.txt', 'w', { effect: 'derives' }); }),
  task('nothing', { summary: 'Declares nothing.', steps: (p) => { p.run(['cat', 'other.txt'], { effect: 'reads' }); } }),
  task('changes', { summary: 'Changes.', steps: (p) => p.write('x', 'y') }),
  task('calls', { summary: 'A function.', steps: (p) => { p.opaque('f', { effect: 'reads', summary: 'f' }, async () => null); } }),
  task('away', { summary: 'Elsewhere.', params: { to: device({ summary: 'where' }) }, steps: (p, { params }) => { p.on(params.to).run(['true'], { effect: 'reads' }); } }),
  task('group', { summary: 'Others.', needs: { lib: lib() } }),
];
await main(import.meta, { tasks: all });
`;

let project: Project;

beforeAll(() => {
  project = new Project({ tasks: TASKS });
  const folders = [
    'in',
    'out',
    'out/old',
    'secret',
    'real',
    'more',
    'src/sub/deep',
    'node_modules/x',
    'node_modules/y',
    'app/(auth)',
  ];
  for (const name of folders) mkdirSync(project.path(name), { recursive: true });
  const files = [
    'in/a.txt',
    'in/b.txt',
    'other.txt',
    'secret/settings.json',
    'secret/deep.txt',
    'real/a.txt',
    'more/m',
    'alone.txt',
    'out/old/a',
    'app/(auth)/p[1].ts',
    '!bang',
  ];
  const sources = ['src/a.js', 'src/b.js', 'src/sub/c.js', 'src/sub/d.js', 'src/sub/deep/e.js'];
  const packages = ['node_modules/x/index.js', 'node_modules/y/index.js', 'package-lock.json'];
  for (const name of [...files, ...sources, ...packages, 'it\'s ä"n\n.txt']) project.write(name, 'x');
  project.write(
    'main.py',
    "import os\nos.environ['SEEN']; os.getenv('DECLARED'); os.environ.get('TZ'); os.environ['PATH']; os.environ['UNSET']\n",
  );
  symlinkSync('in/a.txt', project.path('link.txt'));
  symlinkSync('real', project.path('linked'));
});

afterAll(() => project.stop());

const trace = (task: string, ...more: readonly string[]): Promise<Ended> =>
  project.run(['trace-inputs', task, ...more]);

/** What is not declared, as programs are told. */
async function found(task: string, env: { readonly [name: string]: string } = {}): Promise<object> {
  const ended = await project.run(['trace-inputs', task, '--check', '--json'], { env });
  if (ended.stdout === '') {
    expect([ended.status, ended.stderr]).toEqual([0, '']);
    return {};
  }
  expect(ended.status).toBe(1);
  const { inputs, outputs, env: variables } = JSON.parse(ended.stdout) as { [kind: string]: readonly string[] };
  return { inputs, outputs, env: variables };
}

const only = (what: object): object => ({ inputs: [], outputs: [], env: [], ...what });

describe.skipIf(missing !== null)('what a task does not declare', () => {
  test('nothing: what is declared, made by what it needs, or gone again', async () => {
    expect(await trace('declared', '--check')).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect(await found('temporary')).toEqual({});
  });

  test('a read, a write, a file that it takes away', async () => {
    expect(await found('reads')).toEqual(only({ inputs: ['other.txt'] }));
    expect(await found('writes')).toEqual(only({ outputs: ['in/b.txt', 'stray.txt'] }));
    expect(await found('own')).toEqual(only({ outputs: ['stray2.txt'] }));
  });

  test('a read by a child in another folder', async () => {
    expect(await found('child')).toEqual(only({ inputs: ['secret/deep.txt', 'secret/settings.json'] }));
  });

  test('a link counts by its own name, and a folder behind a link by what lies in it', async () => {
    expect(await found('link')).toEqual(only({ inputs: ['link.txt'] }));
    expect(await found('through')).toEqual({});
  });

  test('a folder that is listed, unless a wildcard reaches it', async () => {
    expect(await found('list')).toEqual(only({ inputs: ['more/*'] }));
  });

  test('many files of a folder are one glob; packages are their lock file; odd names are whole', async () => {
    expect(await found('many')).toEqual(only({ inputs: ['alone.txt', 'src/**'] }));
    expect(await found('packages')).toEqual(only({ inputs: ['package-lock.json'] }));
    expect(await found('odd')).toEqual(only({ inputs: ['it\'s ä"n\n.txt'] }));
  });

  test('what a glob would read otherwise is escaped: pasted, it is declared', async () => {
    expect(await found('special')).toEqual(only({ inputs: ['\\!bang', 'app/\\(auth\\)/p\\[1\\].ts'] }));
    expect(await found('pasted')).toEqual({});
  });

  test('variables that its sources ask for and that are set, unless they are declared or say nothing', async () => {
    expect(await found('asks')).toEqual({});
    const env = { SEEN: '1', DECLARED: '1', TZ: 'UTC', OTHER: '1' };
    expect(await found('asks', env)).toEqual(only({ env: ['SEEN', 'TZ'] }));
  });

  test('for people it is ready to paste', async () => {
    const ended = await trace('writes');
    expect(ended.status).toBe(0);
    expect(ended.stdout).toBe("// writes does not declare:\noutputs: [\n  'stray.txt',\n],\n");
    expect(await trace('nothing')).toMatchObject({
      status: 0,
      stdout: "// nothing does not declare:\ninputs: [\n  'other.txt',\n],\n",
      stderr: 'nothing declares no inputs: it always runs\n',
    });
    expect(await trace('nothing', '--check')).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });

  test('it leaves freshness as it was, and no trace behind', async () => {
    await project.run(['declared']);
    await trace('declared');
    const again = await project.run(['declared']);
    expect(again.stdout).toContain('2 fresh');
    expect(existsSync(join(project.dir, '.slipway/tmp')) && readFileSync(project.path('out/o.txt'), 'utf8')).not.toBe(
      '',
    );
  });

  test('a task that fails tells why, and nothing is claimed of it', async () => {
    const ended = await trace('fails', '--check');
    expect([ended.status, ended.stdout]).toEqual([1, '']);
    expect(ended.stderr).toMatch(/ended with status 3/);
    expect(ended.stderr).toContain('fails did not come to its end, so what it reads and writes is not known\n');
    expect(ended.stderr).not.toContain('strace');
  });
});

test.each([
  ['changes', 3, 'changes cannot be traced: it holds a change'],
  ['calls', 3, 'calls cannot be traced: calls/1 is a function'],
  ['away', 3, 'away(to=rehearsal) cannot be traced: away(to=rehearsal)/1 runs on rehearsal'],
  ['group', 2, 'group has no steps of its own\n  trace what it needs: lib'],
  ['strange', 2, 'no task or verb is called strange'],
])('%s is refused', async (task, status, message) => {
  const ended = await trace(task);
  expect([ended.status, ended.stdout, ended.stderr]).toEqual([status, '', expect.stringContaining(message)]);
});

test('without strace it says what to install; where strace may not trace, what is needed', async () => {
  mkdirSync(project.path('bin'));
  const env = { PATH: project.path('bin') };
  const none = await project.run(['trace-inputs', 'reads'], { env });
  expect([none.status, none.stderr]).toEqual([
    3,
    expect.stringContaining('strace is not installed: apt-get install strace'),
  ]);
  project.write(
    'bin/strace',
    '#!/bin/sh\necho "strace: ptrace(PTRACE_TRACEME): Operation not permitted" >&2\nexit 1\n',
  );
  chmodSync(project.path('bin/strace'), 0o755);
  const forbidden = await project.run(['trace-inputs', 'reads'], { env });
  expect([forbidden.status, forbidden.stderr]).toEqual([3, expect.stringContaining('strace may not trace here')]);
});
