import { expect, test } from 'vitest';
import { parseArgv } from '../../lib/cli/argv.ts';
import { UsageError } from '../../lib/model/failure.ts';
import { flag, string } from '../../lib/model/param.ts';
import { task } from '../../lib/model/task.ts';
import { tasks } from './fixtures/tasks.ts';

const parse = (line: string): Promise<unknown> => parseArgv(line === '' ? [] : line.split(' '), tasks);
const RUN = {
  kind: 'run',
  goals: [],
  mode: { kind: 'perform' },
  force: false,
  explain: false,
  watch: false,
  rest: [],
  output: 'human',
  color: true,
  yes: false,
  confirm: null,
  jobs: null,
  keepGoing: false,
};
const goal = (name: string, params = {}): object => ({ task: name, params });
const PLAN = { kind: 'plan', connected: false, out: null };

test.each<[string, object]>([
  ['deploy', { goals: [goal('deploy')] }],
  ['deploy --to jetson', { goals: [goal('deploy', { to: 'jetson' })] }],
  ['deploy --to=jetson --yes', { goals: [goal('deploy', { to: 'jetson' })], yes: true }],
  ['test --only 0012', { goals: [goal('test', { only: '0012' })] }],
  ['test --only=', { goals: [goal('test', { only: '' })] }],
  ['test --only=-x=1', { goals: [goal('test', { only: '-x=1' })] }],
  ['test --seed -5 --fast', { goals: [goal('test', { seed: -5, fast: true })] }],
  ['test --fast=false', { goals: [goal('test', { fast: false })] }],
  ['test --max-age 2d', { goals: [goal('test', { maxAge: '2d' })] }],
  ['test --maxAge 2d', { goals: [goal('test', { maxAge: '2d' })] }],
  [
    '--to jetson deploy migrate --kind plan',
    { goals: [goal('deploy', { to: 'jetson' }), goal('migrate', { kind: 'plan', to: 'jetson' })] },
  ],
  ['deploy deploy test', { goals: [goal('deploy'), goal('test')] }],
  ['test:backend', { goals: [goal('test:backend')] }],
  ['-n deploy', { goals: [goal('deploy')], mode: PLAN }],
  ['deploy --connected', { goals: [goal('deploy')], mode: { ...PLAN, connected: true } }],
  ['deploy --out 0012', { goals: [goal('deploy')], mode: { ...PLAN, out: '0012' } }],
  ['-nkj4 deploy', { goals: [goal('deploy')], mode: PLAN, keepGoing: true, jobs: 4 }],
  ['test --watch', { goals: [goal('test')], watch: true }],
  ['deploy -j 2 --force --json', { goals: [goal('deploy')], jobs: 2, force: true, output: 'json' }],
  ['deploy --shuffle 0012', { goals: [goal('deploy')], shuffle: 12 }],
  ['deploy --confirm 007 --no-color', { goals: [goal('deploy')], confirm: '007', color: false }],
  [
    'deploy --report a.html --profile=b.json',
    { goals: [goal('deploy')], pages: { report: 'a.html', profile: 'b.json' } },
  ],
  ['deploy --runbook', { goals: [goal('deploy')], mode: { ...PLAN, runbook: true } }],
  ['test -- -x --to y', { goals: [goal('test')], rest: ['-x', '--to', 'y'] }],
  ['test --', { goals: [goal('test')] }],
])('%s runs', async (line, expected) => {
  expect(await parse(line)).toEqual({ ...RUN, ...expected });
});

const VERB = { kind: 'verb', output: 'human', color: true, yes: false, confirm: null, jobs: null, keepGoing: false };
test.each<[string, object]>([
  ['', { kind: 'list', output: 'human', color: true }],
  ['--list --no-color', { kind: 'list', output: 'human', color: false }],
  ['--keep-going --list -j 4', { kind: 'list', output: 'human', color: true }],
  ['--list --json', { kind: 'list', output: 'json', color: true }],
  ['--dry-run', { kind: 'list', output: 'human', color: true }],
  ['--help', { kind: 'help', task: null, color: true }],
  ['migrate -h', { kind: 'help', task: 'migrate', color: true }],
  ['--version', { kind: 'version' }],
  ['--graph', { kind: 'graph', goals: [], format: 'mermaid' }],
  ['--graph dot', { kind: 'graph', goals: [], format: 'dot' }],
  ['--graph deploy', { kind: 'graph', goals: [goal('deploy')], format: 'mermaid' }],
  ['deploy --to a --graph json -n', { kind: 'graph', goals: [goal('deploy', { to: 'a' })], format: 'json' }],
  ['deploy --graph=dot --json', { kind: 'graph', goals: [goal('deploy')], format: 'json' }],
  ['completion zsh', { ...VERB, verb: 'completion', shell: 'zsh' }],
  [
    'show x --report r.html',
    { ...VERB, verb: 'show', run: 'x', logs: false, pages: { report: 'r.html', profile: null } },
  ],
  ['apply 0012', { ...VERB, verb: 'apply', plan: '0012' }],
  ['show 0x10 --json', { ...VERB, verb: 'show', run: '0x10', logs: false, output: 'json' }],
  ['recover --yes', { ...VERB, verb: 'recover', yes: true }],
  ['rehearsal stop', { ...VERB, verb: 'rehearsal', action: 'stop' }],
  ...['history', 'config'].map((verb): [string, object] => [verb, { ...VERB, verb }]),
  ...['status', 'doctor', 'audit'].map((verb): [string, object] => [verb, { ...VERB, verb, device: null }]),
  ['status --device jetson --json', { ...VERB, verb: 'status', device: 'jetson', output: 'json' }],
  ['--device jetson doctor', { ...VERB, verb: 'doctor', device: 'jetson' }],
  ['logs web', { ...VERB, verb: 'logs', service: 'web', follow: false, lines: 100, device: null }],
  ['logs web -f', { ...VERB, verb: 'logs', service: 'web', follow: true, lines: 100, device: null }],
  ['logs -fn 20 web', { ...VERB, verb: 'logs', service: 'web', follow: true, lines: 20, device: null }],
  ['logs -n0 --device=a web', { ...VERB, verb: 'logs', service: 'web', follow: false, lines: 0, device: 'a' }],
  ['exec -- ls -la --json', { ...VERB, verb: 'exec', command: ['ls', '-la', '--json'], service: null, device: null }],
  ['exec --service web -- ls', { ...VERB, verb: 'exec', command: ['ls'], service: 'web', device: null }],
  ['shell --device jetson', { ...VERB, verb: 'shell', service: null, device: 'jetson' }],
])('"%s" is understood', async (line, expected) => {
  expect(await parse(line)).toEqual(expected);
});

const BEHIND =
  'the command stands behind --: type exec -- CMD ARGS … (through npm: npm run task -- exec -- CMD ARGS …)';
test.each<[string, string, string]>([
  ['deplyo', 'no task or verb is called deplyo', 'did you mean deploy?'],
  ['stats', 'no task or verb is called stats', 'did you mean status?'],
  ['undo', 'undo needs a run', 'type undo RUN'],
  ['deploy --too x', 'deploy has no param or flag --too', 'did you mean --to?'],
  ['deploy --dry-rum', 'deploy has no param or flag --dry-rum', 'did you mean --dry-run?'],
  ['deploy --only x', 'deploy has no param or flag --only', '--only is a param of test: name that task, too'],
  ['--to x', 'slipway has no param or flag --to', '--to is a param of deploy and migrate: name that task, too'],
  ['deploy --inspect', 'deploy has no param or flag --inspect', '--help deploy shows its params'],
  ['deploy -x', 'deploy has no param or flag -x', '--help deploy shows its params'],
  ['deploy --to a --to b', '--to is there twice', 'once is enough; it counts for every task that has it'],
  ['deploy -n --dry-run', '--dry-run is there twice', 'once is enough; it counts for every task that has it'],
  ['deploy --to', '--to needs a value', 'type --to VALUE; one that begins with - needs =, as in --to=-x'],
  ['deploy --to --dry-run', '--to needs a value', 'type --to VALUE; one that begins with - needs =, as in --to=-x'],
  [
    'deploy --to=0012',
    '--to of deploy must be a device name (lower case letters, digits and -), not 0012',
    '--help deploy shows its params',
  ],
  ['deploy --dry-run=x', '--dry-run takes no value', 'type --dry-run alone'],
  ['test --seed x', '--seed of test must be a number, not x', '--help test shows its params'],
  ['test --fast=maybe', '--fast of test must be true or false, not maybe', '--help test shows its params'],
  ['migrate', 'migrate needs --kind', 'type migrate --kind VALUE'],
  ['migrate --kind aply', '--kind of migrate must be one of plan, apply, not aply', 'did you mean apply?'],
  [
    'deploy --shuffle soon',
    '--shuffle must be a whole number up to 4294967295, or random, not soon',
    'type --shuffle random',
  ],
  ['deploy -j 0', '--jobs must be a whole number from 1 to 1024, not 0', 'type -j 4'],
  ['deploy --out=', '--out needs a file', 'type --out plan.json'],
  ['--graph svg', 'svg is no task, and no format of --graph', 'its formats: mermaid, dot, json'],
  ['list', 'no task or verb is called list', 'did you mean --list?'],
  ['rehearsal', 'rehearsal needs an action', 'type rehearsal stop'],
  ['deploy --graph=svg', '--graph has no format svg', 'type --graph=mermaid or --graph=dot or --graph=json'],
  ['deploy --runbook --json', '--runbook prints Markdown, and no JSON', 'leave one of both out'],
  [
    'deploy --profile a.json --connected',
    '--profile is about a run, and this only plans',
    'leave --profile or the plan out',
  ],
  ['completion', 'completion needs a shell', 'type completion SHELL'],
  ['completion bsh', 'there is no completion for bsh', 'did you mean bash?'],
  ['completion tcsh', 'there is no completion for tcsh', 'type completion bash, completion zsh or completion fish'],
  ['history --report x', '--report means nothing for history', 'type history'],
  ['test deploy -- x', 'what follows -- is for one task, not for test and deploy', 'run them one after the other'],
  ['--list deploy', '--list takes no task', '--help deploy shows one task'],
  ['apply', 'apply needs a file', 'type apply FILE'],
  ['apply a b', 'apply takes one argument, not a b', 'type apply FILE'],
  ['history -- x', 'history takes no argument, not x', 'type history'],
  ['history --to x', 'history has no param or flag --to', 'type history'],
  ['status --force', '--force means nothing for status', 'type status [--device NAME]'],
  ['status --to x', 'status has no flag --to', 'type status [--device NAME]'],
  ['status --devcie x', 'status has no flag --devcie', 'did you mean --device?'],
  ['deploy --device x', 'deploy has no param or flag --device', '--help deploy shows its params'],
  ['logs', 'logs needs a service', 'type logs SERVICE [-f] [-n LINES] [--device NAME]'],
  ['logs web --folow', 'logs has no flag --folow', 'did you mean --follow?'],
  ['logs web -x', 'logs has no flag -x', 'type logs SERVICE [-f] [-n LINES] [--device NAME]'],
  ['logs web -n x', '--lines must be a whole number from 0 to 1000000, not x', 'type -n 100'],
  ['logs web --dry-run', '--dry-run means nothing for logs', 'type logs SERVICE [-f] [-n LINES] [--device NAME]'],
  [
    'logs web --device=0012',
    '--device must be a device name (lower case letters, digits and -), not 0012',
    '"config" shows the devices that are configured',
  ],
  ['exec', 'exec needs a command', BEHIND],
  ['exec ls', 'exec takes no argument, not ls', BEHIND],
  ['exec ls -la', 'exec has no flag -la', BEHIND],
  ['doctr', 'no task or verb is called doctr', 'did you mean doctor?'],
  ['apply x --dry-run', '--dry-run means nothing for apply', 'type apply FILE'],
  ['rehearsal stp', 'rehearsal has no action stp', 'did you mean stop?'],
  ['deploy status', 'status is a verb, not a task', 'type it alone: status'],
])('%s is refused', async (line, message, hint) => {
  const error = await parse(line).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(UsageError);
  expect(error).toMatchObject({ message, hint });
});

test('a task that cannot be reached by its name, or whose param is a flag, is refused', async () => {
  await expect(parseArgv([], [task('status', { summary: '' })])).rejects.toThrow(
    'a task is called status, which is a verb',
  );
  await expect(parseArgv([], [task('a', { summary: '', params: { dryRun: flag({ summary: '' }) } })])).rejects.toThrow(
    "a declares a param dryRun, which is a flag of slipway's own",
  );
});

test('where tasks disagree whether a param takes a value, the named ones decide', async () => {
  const a = task('a', { summary: '', params: { x: flag({ summary: '' }) } });
  const b = task('b', { summary: '', params: { x: string({ summary: '', default: '' }) } });
  expect(await parseArgv(['a', '--x'], [a, b])).toMatchObject({ goals: [goal('a', { x: true })] });
  expect(await parseArgv(['b', '--x', 'y'], [a, b])).toMatchObject({ goals: [goal('b', { x: 'y' })] });
  await expect(parseArgv(['a', 'b', '--x'], [a, b])).rejects.toThrow(
    '--x means different things for the tasks that were named',
  );
});
