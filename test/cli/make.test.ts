import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { TempProject, type Ended } from './fixtures/project.ts';

const project = new TempProject();
afterAll(() => project.remove('.'));

/** `MAKE_UNDER_TEST` names another make, 3.81 say. */
const MAKE = process.env['MAKE_UNDER_TEST'] ?? 'make';
const make = (args: string, env = {}): Ended =>
  project.run(MAKE, args === '' ? [] : args.split(' '), { LC_ALL: 'C', ...env });
const ran = (goals: string, rest = 'perform jobs=null keepGoing=false'): Ended => ({
  status: 0,
  stdout: `run ${goals} ${rest}\n`,
  stderr: '',
});
const version = project.run(MAKE, ['--version']).stdout;
const old = version.includes('3.81');

describe('goals', () => {
  test('all of them go to one invocation', () => {
    expect(make('build deploy')).toEqual(ran('build{} deploy{}'));
  });

  test('a goal may be the name of a file or folder, or hold a colon', () => {
    mkdirSync(join(project.path, 'test'));
    project.write('deploy', '');
    project.write('build.sh', '');
    expect(make('test build deploy test:backend')).toEqual(ran('test{} build{} deploy{} test:backend{}'));
    for (const name of ['test', 'deploy', 'build.sh']) project.remove(name);
  });

  test('without a goal the tasks are listed', () => {
    expect(make('')).toEqual({ status: 0, stdout: 'list\n', stderr: '' });
  });

  test('a goal that names no task exits 2 before anything runs', () => {
    expect(make('deploy deplyo')).toMatchObject({
      status: 2,
      stdout: '',
      stderr: expect.stringMatching(
        /^no task or verb is called deplyo\n  did you mean deploy\?\nmake: \*\*\* .*Error 2\n$/,
      ) as string,
    });
  });

  test.each([
    '-- --force',
    '-- deploy -n',
    'Makefile',
    'tasks.ts',
    'dev.c',
    'a;b',
    '.PHONY',
    'slipway-run',
    'deploy package.json',
  ])('%s is refused with 2', (goals) => {
    project.write('dev.c', '');
    expect(make(goals)).toEqual({
      status: 2,
      stdout: '',
      stderr: expect.stringMatching(/^Makefile:\d+: \*\*\* \S+ names no task: .*Stop\.\n$/) as string,
    });
    project.remove('dev.c');
  });

  test('variables reach the tasks through the environment', () => {
    expect(make('deploy DEPLOY_TO=jetson')).toEqual(
      ran('deploy{}', 'perform jobs=null keepGoing=false DEPLOY_TO=jetson'),
    );
    expect(make('deploy', { DEPLOY_TO: 'jetson' })).toEqual(
      ran('deploy{}', 'perform jobs=null keepGoing=false DEPLOY_TO=jetson'),
    );
  });

  test('a variable named like a param is refused: it would reach nobody', () => {
    expect(make('deploy to=jetson')).toMatchObject({
      status: 2,
      stdout: '',
      stderr: expect.stringContaining(
        'make passes no params on: to would reach nobody\n  type npm run task -- deploy --to jetson\n',
      ) as string,
    });
  });
});

describe('flags', () => {
  const planned = (command: string, goals: string, rest: string): Ended => ({
    status: 0,
    stdout: `exec node scripts/launch.cjs tasks.ts ${command}\nrun ${goals} plan ${rest}\n`,
    stderr: '',
  });

  test.each([
    '-n deploy',
    '--dry-run deploy',
    '-n --no-print-directory deploy',
    '--no-print-directory -n deploy',
    'deploy -n A=t',
  ])('make %s only plans', (args) => {
    expect(make(args)).toEqual(planned('deploy --dry-run', 'deploy{}', 'jobs=null keepGoing=false'));
  });

  test('every further goal is in the same plan', () => {
    expect(make('-n build deploy').stdout).toBe(
      'exec node scripts/launch.cjs tasks.ts build deploy --dry-run\nrun build{} deploy{} plan jobs=null keepGoing=false\n# deploy: in the same run\n',
    );
  });

  test('-k maps through', () => {
    expect(make('-k deploy')).toEqual(ran('deploy{}', 'perform jobs=null keepGoing=true'));
  });

  test.skipIf(old)('-jN maps through', () => {
    expect(make('-j3 deploy')).toEqual(ran('deploy{}', 'perform jobs=3 keepGoing=false'));
    expect(make('-nk -j 3 deploy')).toEqual(
      planned('deploy --dry-run --keep-going -j3', 'deploy{}', 'jobs=3 keepGoing=true'),
    );
  });

  test('a bare -j passes nothing', () => {
    expect(make('-j deploy')).toEqual(ran('deploy{}'));
  });

  test.each(['Ank=t', 'A=x\\ -j7', 'A=-n'])('the variable %s is no flag', (variable) => {
    expect(project.run(MAKE, ['deploy', variable.replace('\\', '')])).toEqual(ran('deploy{}'));
  });

  test.each(['-t', '-q', '--touch', '--no-print-directory -q', '-nt'])(
    'make %s exits 2 before anything runs',
    (flag) => {
      expect(make(`${flag} deploy`)).toEqual({
        status: 2,
        stdout: '',
        stderr: expect.stringMatching(/^Makefile:\d+: \*\*\* make .*Stop\.\n$/) as string,
      });
    },
  );

  test.each(['1', '2', '3', '4', '130'])('a runner that ends with %s makes make end with 2', (EXIT) => {
    expect(make('deploy', { EXIT }).status).toBe(2);
  });
});

describe('a fresh clone', () => {
  const npm = (text: string): void => project.write('bin/npm', `#!/bin/sh\n${text}\n`, 0o755);
  beforeEach(() => {
    for (const name of ['node_modules', 'bin/npm', 'bin/python3', 'bin/node', 'npm-ran']) project.remove(name);
    return () => {
      for (const name of ['node_modules', 'bin/npm', 'bin/python3', 'bin/node', 'npm-ran']) project.remove(name);
      project.install();
    };
  });

  test('make -n prints the npm command that it would run first, and runs neither', () => {
    expect(make('-n deploy')).toEqual({
      status: 0,
      stdout: 'npm ci --ignore-scripts\nexec node scripts/launch.cjs tasks.ts deploy --dry-run\n',
      stderr: '',
    });
  });

  test('node_modules is made first, then the task runs', () => {
    npm('[ "$1" = --version ] || echo "npm $*"');
    // tsx is found though nothing was installed: node_modules exists, npm’s note does not.
    project.install();
    project.remove('node_modules/.package-lock.json');
    expect(make('deploy')).toEqual({
      status: 0,
      stdout: 'npm ci --ignore-scripts\nnpm ci --ignore-scripts\nrun deploy{} perform jobs=null keepGoing=false\n',
      stderr: '',
    });
  });

  test('npm’s note that is as old as the lock file counts as stale; a newer one does not', () => {
    npm('[ "$1" = --version ] || echo "npm $*"');
    project.install();
    expect(make('deploy')).toEqual(ran('deploy{}'));
    project.age(100, 'package-lock.json', 'node_modules/.package-lock.json');
    expect(make('deploy').stdout).toContain('npm ci --ignore-scripts\nnpm ci --ignore-scripts\nrun ');
    // With modules there, though old, -n plans as well.
    expect(make('-n deploy').stdout).toBe(
      'npm ci --ignore-scripts\nexec node scripts/launch.cjs tasks.ts deploy --dry-run\nrun deploy{} plan jobs=null keepGoing=false\n',
    );
  });

  test('the real npm brings it up to date from the lock file', () => {
    expect(project.run('npm', ['ci', '--ignore-scripts']).status).toBe(0);
  });

  test('when npm fails, nothing runs', () => {
    npm('[ "$1" = --version ] || exit 7');
    expect(make('deploy')).toMatchObject({ status: 2, stdout: 'npm ci --ignore-scripts\n' });
  });

  test('what is missing is said in one message, with 2', () => {
    npm('exit 1');
    project.write('bin/node', '#!/bin/sh\n[ "$1" = --version ] && echo v18.1.0 || exit 1\n', 0o755);
    project.write('bin/python3', '#!/bin/sh\n[ "$1" = --version ] && echo Python 3.8.1 || exit 1\n', 0o755);
    expect(make('deploy')).toEqual({
      status: 2,
      stdout: '',
      stderr: expect.stringMatching(
        /^Makefile:\d+: \*\*\* slipway needs Node 20\.19 or newer \(found: v18\.1\.0\) and npm \(found: none\) and Python 3\.10 or newer with venv \(found: Python 3\.8\.1\); install what is missing, then run make again\. {2}Stop\.\n$/,
      ) as string,
    });
  });
});
