import { afterAll, describe, expect, test } from 'vitest';
import { TempProject, type Ended } from './fixtures/project.ts';

const project = new TempProject();
afterAll(() => project.remove('.'));

const npm = (args: string, env = {}): Ended => project.run('npm', ['run', 'task', ...args.split(' ')], env);
const performs = (goal: string): Ended => ({
  status: 0,
  stdout: `run ${goal} perform jobs=null keepGoing=false\n`,
  stderr: '',
});
const refuses = (flag: string, line: string): Ended => ({
  status: 2,
  stdout: '',
  stderr: `npm took --${flag} for itself\n  type ${line}\n`,
});

describe('npm swallows flags', () => {
  test('--dry-run plans only and says so', () => {
    expect(npm('deploy --dry-run')).toEqual({
      status: 0,
      stdout: 'run deploy{} plan jobs=null keepGoing=false\n',
      stderr:
        'npm took --dry-run for itself: nothing is performed; to pass flags on, type npm run task -- deploy --dry-run\n',
    });
  });

  test.each([
    ['deploy --to jetson', 'to', 'npm run task -- deploy --to jetson'],
    ['deploy --to=jetson', 'to', 'npm run task -- deploy --to jetson'],
    ['deploy --dry-run --to jetson', 'to', 'npm run task -- deploy --dry-run --to jetson'],
    ['deploy -j 2', 'jobs', 'npm run task -- deploy --jobs 2'],
    ['deploy -j2', 'jobs', 'npm run task -- deploy --jobs 2'],
    ['deploy --jobs 2', 'jobs', 'npm run task -- deploy --jobs 2'],
    ['deploy --json', 'json', 'npm run task -- deploy --json'],
    ['deploy --force', 'force', 'npm run task -- deploy --force'],
    ['deploy --connected', 'connected', 'npm run task -- deploy --connected'],
    ['deploy --out x.json', 'out', 'npm run task -- deploy --out x.json'],
    ['deploy --keep-going', 'keep-going', 'npm run task -- deploy --keep-going'],
    ['deploy --confirm jetson', 'confirm', 'npm run task -- deploy --confirm jetson'],
    ['--list', 'list', 'npm run task -- --list'],
    ['logs web -f', 'follow', 'npm run task -- logs web --follow'],
    ['logs web --device jetson', 'device', 'npm run task -- logs web --device jetson'],
    ['logs --device jetson', 'device', 'npm run task -- logs jetson --device VALUE'],
    ['logs web --lines 5 --device jetson', 'lines', 'npm run task -- logs web --lines VALUE --device VALUE'],
    ['undo RUN --confirm x', 'confirm', 'npm run task -- undo RUN --confirm x'],
    ['deplyo --confirm jetson', 'confirm', 'npm run task -- deplyo jetson --confirm VALUE'],
    ['deploy --graph dot', 'graph', 'npm run task -- deploy --graph dot'],
    ['--graph', 'graph', 'npm run task -- --graph'],
    ['status --device jetson', 'device', 'npm run task -- status --device jetson'],
    ['test --max-age 2d --fast', 'fast', 'npm run task -- test --fast --max-age 2d'],
  ])('%s exits 2 and prints the line with --', (typed, flag, line) => {
    const { status, stdout, stderr } = npm(typed);
    // Told --json (or -j), npm itself prints an object about the script's status.
    expect({ status, stdout: stdout.startsWith('{\n  "error"') ? '' : stdout, stderr }).toEqual(refuses(flag, line));
  });

  test.each(['deploy -n', 'deploy -k', 'deploy --yes', 'deploy --no-color'])('%s leaves no trace', (typed) => {
    expect(npm(typed)).toEqual(performs('deploy{}'));
  });

  test('behind -- every flag arrives', () => {
    expect(npm('deploy -- --to jetson --dry-run -j 2 -k')).toEqual({
      status: 0,
      stdout: 'run deploy{"to":"jetson"} plan jobs=2 keepGoing=true\n',
      stderr: '',
    });
  });

  test('empty values, yes and color of an .npmrc do not count', () => {
    project.write('npmrc', 'yes=true\ncolor=always\nregistry=http://127.0.0.1:9/\njobs=max\n');
    expect(npm('deploy', { npm_config_dry_run: '', npm_config_json: '' })).toEqual(performs('deploy{}'));
    project.write('npmrc', '');
  });

  test('the same variables mean nothing where npm runs no script', () => {
    const ended = project.run('node', ['--import', 'tsx', 'tasks.ts', 'deploy'], {
      npm_config_json: 'true',
      npm_config_token_description: 'x',
      npm_config_dry_run: 'true',
    });
    expect(ended).toEqual(performs('deploy{}'));
  });

  test('the runner takes the place of the shell: its status is the script’s', () => {
    expect(npm('deploy', { EXIT: '3' })).toEqual({ ...performs('deploy{}'), status: 3 });
  });
});
