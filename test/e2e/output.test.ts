import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../device/poll.ts';
import { inProject, type Project } from './project.ts';

const TASKS = `import { main, string, task } from 'slipway';
const check = task('check', {
  summary: 'Fails, and says where.',
  params: { why: string({ summary: 'why', default: '' }) },
  steps: (p) => p.run(['sh', '-c', 'echo ::error::forged; echo "server.py:1:2: error: bad"; exit 3'], { effect: 'reads' }),
});
const build = task('build', {
  summary: 'Takes a while.',
  inputs: ['server.py'],
  outputs: ['out.txt'],
  steps: (p) => p.run(['sh', '-c', 'sleep 0.4; echo made > out.txt'], { effect: 'derives' }),
});
const odd = task('odd', {
  summary: 'Prints what is no text, and a line without end.',
  steps: (p) => p.run(['sh', '-c', "printf '\\\\377\\\\376 a\\\\n'; head -c 10000000 /dev/zero | tr '\\\\0' x; echo; echo end"], { effect: 'reads' }),
});
const change = task('change', {
  summary: 'Changes something, and fails.',
  steps: (p) => {
    p.write('note.txt', 'x');
    p.run(['false'], { effect: 'reads' });
  },
});
const wait = task('wait', {
  summary: 'Prints, and waits.',
  steps: (p) => p.run(['sh', '-c', 'echo half; exec sleep 60'], { effect: 'reads' }),
});
await main(import.meta, { tasks: [check, build, odd, change, wait] });
`;

const project = (body: (project: Project) => Promise<void>): Promise<void> => inProject({ tasks: TASKS }, body);
const untimed = (text: string): string =>
  text.replaceAll(/\d+\.\d s/g, '0.0 s').replaceAll(/runs\/[^/]+\//g, 'runs/RUN/');

test('on GitHub: a folded task, its output below, the place of the mistake, and nothing that the output forged', () =>
  project(async (project) => {
    const ended = await project.run(['check', '--why', "it's so"], { env: { GITHUB_ACTIONS: 'true', CI: 'true' } });
    expect(ended.status).toBe(1);
    expect(untimed(ended.stdout)).toBe(`::group::check(why="it's so")
reads here: sh -c 'echo ::error::forged; echo "server.py:1:2: error: bad"; exit 3'
  \\::error::forged
  server.py:1:2: error: bad
failed: sh -c echo ::error::forged; echo "server.py:1:2: error: bad"; exit 3 ended with status 3
::endgroup::
check(why="it's so") failed · 0.0 s
── output of check(why="it's so") ──
\\::error::forged
server.py:1:2: error: bad
──
check(why="it's so") failed: sh -c echo ::error::forged; echo "server.py:1:2: error: bad"; exit 3 ended with status 3
  its output above says why
  whole output of check(why="it's so")/1: '.slipway/runs/RUN/check(why=~22~it~27~s~20~so~22~)+1.log'
  only this task again: npm run task check -- --why 'it'\\''s so'
1 failed · 0.0 s
::error file=server.py,line=1,col=2,title=check(why="it's so")::bad
`);
  }));

test('what the cache saved is told; --output chooses', () =>
  project(async (project) => {
    expect((await project.run(['build'])).stdout).toMatch(/^build │ derives/);
    const { stdout } = await project.run(['build', '--output', 'grouped']);
    expect(untimed(stdout)).toBe('build fresh\n1 fresh · 0.0 s · 0.0 s saved by the cache\n');
    const wrong = await project.run(['build', '--output', 'nice']);
    expect([wrong.status, wrong.stderr]).toEqual([
      2,
      'slipway: --output must be prefixed or grouped, not nice\n  for programs there is --json\n',
    ]);
    project.write('.slipway/durations.json', '{"build":'.repeat(9));
    expect(untimed((await project.run(['build'])).stdout)).toContain('1 fresh · 0.0 s\n');
  }));

test('a line of 10 MB, and what is no UTF-8: shown in short, kept whole', () =>
  project(async (project) => {
    const { status, stdout } = await project.run(['odd']);
    expect(status).toBe(0);
    const [, text, long = '', end] = stdout.split('\n');
    expect([text, long, end]).toEqual(['odd │   \ufffd\ufffd a', `odd │   ${'x'.repeat(16_384)}…`, 'odd │   end']);
    expect(log(project, 'odd+1')).toBe(`\ufffd\ufffd a\n${'x'.repeat(10_000_000)}\nend\n`);
  }));

test('output of a task that was cancelled is kept, and named', () =>
  project(async (project) => {
    const running = project.start(['wait'], { detached: true });
    await until('it printed', () => running.text().includes('  half\n'));
    process.kill(-running.pid, 'SIGINT');
    const { status, stdout } = await running.ended;
    expect(status).toBe(130);
    expect(untimed(stdout)).toMatch(
      /\nwait stopped: stopped by SIGINT\nwhole output of wait\/1: \.slipway\/runs\/RUN\/wait\+1\.log\n1 cancelled · 0\.0 s\n$/,
    );
    expect(log(project, 'wait+1')).toBe('half\n');
  }));

test('--json: every event of the contract, one a line, each step with its id', () =>
  project(async (project) => {
    const { status, stdout } = await project.run(['change', 'build', '--json', '-k', '-j1']);
    expect(status).toBe(1);
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; id?: string; task?: string; outcome?: string });
    expect(new Set(events.map(({ type }) => type))).toEqual(
      new Set([
        'task-started',
        'step-started',
        'step-finished',
        'step-failed',
        'step-undone',
        'task-finished',
        'run-finished',
      ]),
    );
    for (const { type, id } of events) if (type.startsWith('step-')) expect(id).toMatch(/^(change|build)\/\d/);
    expect(events.filter(({ type }) => type === 'task-finished')).toMatchObject([
      { task: 'change', outcome: 'failed' },
      { task: 'build', outcome: 'done' },
    ]);
  }));

const log = (project: Project, name: string): string => {
  const runs = project.path('.slipway/runs');
  const [run = ''] = readdirSync(runs);
  return readFileSync(join(runs, run, `${name}.log`), 'utf8');
};
