import { expect, test } from 'vitest';
import { STATUS, statusOfFailure, statusOfRun } from '../../lib/model/exit-status.ts';
import { FLAGS, VERBS } from '../../lib/cli/flags.ts';
import { helpText, listJson, listText, taskHelp } from '../../lib/cli/help.ts';
import { npmFlags } from '../../lib/cli/npm-flags.ts';
import { editDistance, nearest } from '../../lib/cli/suggest.ts';
import { task } from '../../lib/model/task.ts';
import { deploy, migrate, tasks } from './fixtures/tasks.ts';

test('a summary takes one line and steers no terminal', () => {
  const odd = task('odd', { summary: 'one\ntwo \u001b[31mred' });
  expect(listText([odd])).toBe('  odd  one two  [31mred\n');
  expect(taskHelp(odd)).toMatch(/^odd: one two {2}\[31mred\n/);
});

test('--list shows what is not hidden, aligned', () => {
  expect(listText(tasks)).toBe('  build    Build it.\n  deploy   Ship it.\n  test     Test it.\n  migrate  Migrate.\n');
});

test('--list --json is the contract', () => {
  expect(listJson([deploy])).toEqual({
    tasks: [
      {
        name: 'deploy',
        summary: 'Ship it.',
        params: [{ name: 'to', type: 'device', summary: 'target device', required: false }],
        needs: ['build'],
      },
    ],
  });
});

test('a task’s help comes from its params', () => {
  expect(taskHelp(migrate)).toBe(`migrate: Migrate.

usage: npm run task migrate -- --kind plan|apply [--token TEXT] [--to DEVICE]

params:
  --kind plan|apply  what to do (required)
  --token TEXT       a token
  --to DEVICE        target device (default: DEPLOY_TO, or the rehearsal device while no other is configured)
`);
});

test('help names every flag and verb, and what npm keeps without a trace', () => {
  const help = helpText(tasks);
  for (const { name } of [...FLAGS, ...VERBS]) expect(help).toContain(name);
  expect(help).toContain('-n, -k,\n--yes and --no-color leave no trace');
  expect(help.split('\n').every((line) => line.length <= 130)).toBe(true);
});

test('suggestions are near, or none', () => {
  expect(editDistance('deplyo', 'deploy')).toBe(1);
  expect(nearest('dep', ['deploy', 'dev'])).toBe('deploy');
  expect(nearest('x', ['deploy'])).toBeNull();
});

test('statuses follow the outcome and the failure', () => {
  expect(statusOfRun('done', null)).toBe(STATUS.done);
  expect(statusOfRun('not-put-back', { reason: 'cancelled', signal: 'SIGINT' })).toBe(4);
  expect(statusOfRun('failed', { reason: 'command-not-found', command: 'x' })).toBe(1);
  expect(statusOfRun('refused', null)).toBe(3);
  expect(
    (['SIGHUP', 'SIGINT', 'SIGTERM'] as const).map((signal) =>
      statusOfRun('cancelled', { reason: 'cancelled', signal }),
    ),
  ).toEqual([129, 130, 143]);
  expect(statusOfFailure({ reason: 'sudo-refused', place: 'x', user: 'y', why: 'no-sudo', said: '' })).toBe(3);
  expect(statusOfFailure({ reason: 'host-key', place: 'x', address: 'y', state: 'changed', fingerprint: 'z' })).toBe(3);
});

const NPM = { npm_command: 'run', npm_lifecycle_event: 'task' };

test('a secret that npm took is not printed', () => {
  const found = npmFlags({ ...NPM, npm_config_token: 'hunter2' }, ['migrate'], tasks);
  expect(found).toMatchObject({ kind: 'swallowed', error: { hint: 'type npm run task -- migrate --token VALUE' } });
});

test('older npms leave a param under its own name, and run scripts by another command', () => {
  const found = npmFlags(
    { npm_command: 'run-script', npm_lifecycle_event: 'task', npm_config_to: 'true' },
    ['deploy', 'jetson'],
    tasks,
  );
  expect(found).toMatchObject({
    kind: 'swallowed',
    error: { message: 'npm took --to for itself', hint: 'type npm run task -- deploy --to jetson' },
  });
});

test('a flag that also stands behind -- was not lost', () => {
  expect(
    npmFlags({ ...NPM, npm_config_json: 'true', npm_config_jobs: '4' }, ['deploy', '--json', '-j2'], tasks),
  ).toEqual({ kind: 'none' });
});

test('--dry-run that npm took stands in front of --, where it is no argument of the task', () => {
  expect(npmFlags({ ...NPM, npm_config_dry_run: 'true' }, ['test', '--', 'x'], tasks)).toEqual({
    kind: 'plan-only',
    notice:
      'npm took --dry-run for itself: nothing is performed; to pass flags on, type npm run task -- test --dry-run -- x',
    argv: ['--dry-run', 'test', '--', 'x'],
  });
});
