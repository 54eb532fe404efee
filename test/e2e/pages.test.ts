import { existsSync, statSync } from 'node:fs';
import { expect, test } from 'vitest';
import { inProject } from './project.ts';

const TASKS = `import { main, string, task } from 'slipway';
const lint = task('lint', { summary: 'Lint it.', hidden: true, steps: (p) => { p.run(['echo', '\\x1b[31mlinted\\x1b[0m <b>&'], { effect: 'reads' }); } });
const build = task('build', { summary: 'Build it.', steps: (p) => { p.run(['true'], { effect: 'reads' }); } });
const ship = task('ship', {
  summary: 'Ship it.',
  params: { token: string({ summary: 'a token', default: '', secret: true }), fail: string({ summary: 'a status', default: '0' }) },
  needs: { lint: lint(), build: build() },
  steps(p, { params }) {
    const env = { TOKEN: params.token };
    p.run(['sh', '-c', 'echo the token is $TOKEN; seq 1 100; exit ' + params.fail], { effect: 'reads', env });
  },
});
await main(import.meta, { tasks: [lint, build, ship] });
`;
/** In a shell's quotes it is another text, and in HTML, JSON and a URL. */
const SECRET = `hunter2's "<b>&-and-more`;

test('--report and --profile are written about a run that is done, and about one that failed; no secret shows', () =>
  inProject({ tasks: TASKS }, async (project) => {
    for (const [fail, status, outcome] of [
      ['0', 0, 'done'],
      ['3', 1, 'failed'],
    ] as const) {
      const files = ['--report', 'report.html', '--profile', 'trace.json'];
      const ended = await project.run(['ship', '--token', SECRET, '--fail', fail, ...files]);
      expect(ended.status).toBe(status);
      const [page, trace] = [project.read('report.html'), project.read('trace.json')];
      for (const text of [page, trace]) {
        expect(text).not.toContain('hunter2');
        expect(text).not.toContain('\x1b');
      }
      expect(page).toContain('the token is ***');
      expect(page).toContain('linted &lt;b&gt;&amp;');
      expect(page).toContain(`<b>${outcome}</b>`);
      expect(page.includes('What went wrong')).toBe(fail !== '0');
      const names = (JSON.parse(trace) as readonly { ph: string; cat?: string; name: string }[]).flatMap(
        ({ cat, name }) => (cat === 'task' ? [name] : []),
      );
      expect(names.sort()).toEqual(['build', 'lint', fail === '0' ? 'ship(token=***)' : 'ship(token=***,fail=3)']);
      expect(statSync(project.path('report.html')).mode & 0o777).toBe(0o600);
    }
  }));

test('show RUN writes the same about a kept run', () =>
  inProject({ tasks: TASKS }, async (project) => {
    await project.run(['ship', '--fail', '3', '--report', 'a.html', '--profile', 'a.json']);
    const [{ run }] = JSON.parse((await project.run(['history', '--json'])).stdout) as [{ run: string }];
    const shown = await project.run(['show', run, '--report', 'b.html', '--profile', 'b.json']);
    expect(shown).toEqual({ status: 0, signal: null, stdout: '', stderr: '' });
    expect(project.read('b.html')).toBe(project.read('a.html'));
    expect(project.read('b.json')).toBe(project.read('a.json'));
    const missing = await project.run(['show', 'nothing', '--report', 'c.html']);
    expect([missing.status, missing.stderr]).toEqual([
      2,
      'slipway: there is no run nothing\n  "history" lists the runs that are kept\n',
    ]);
  }));

test('a file that cannot be written is refused before anything runs', () =>
  inProject({ tasks: TASKS }, async (project) => {
    project.write('notes.md', 'mine');
    for (const [args, message] of [
      [
        ['--report', 'no/such/report.html'],
        'slipway: there is no folder no/such for --report\n  make it, or type --report report.html\n',
      ],
      [
        ['--report', 'notes.md'],
        'slipway: notes.md is there, and does not look like a report\n  name a file like report.html\n',
      ],
      [
        ['--profile', 'home'],
        'slipway: home is there, and does not look like a profile\n  name a file like trace.json\n',
      ],
      [['--report='], 'slipway: --report needs a file\n'],
      [
        ['--report', 'r.html', '-n'],
        'slipway: --report is about a run, and this only plans\n  leave --report or the plan out\n',
      ],
    ] as const)
      expect(await project.run(['ship', ...args])).toEqual({ status: 2, signal: null, stdout: '', stderr: message });
    expect(project.read('notes.md')).toBe('mine');
    expect(existsSync(project.path('.slipway/runs'))).toBe(false);
  }));

test('--runbook prints the plan and what the journals know, and no secret', () =>
  inProject({ tasks: TASKS }, async (project) => {
    const words = ['ship', '--token', SECRET, '--fail', '3'];
    const first = await project.run([...words, '--runbook', '--out', 'plan.json']);
    expect([first.status, first.stderr]).toEqual([0, expect.stringContaining('approval kept in plan.json')]);
    expect(first.stdout).toMatch(/^# Runbook: ship\(token=\\\*\\\*\\\*,fail=3\)$/m);
    expect(first.stdout).toContain('npm run task -- apply plan.json\n');
    expect(existsSync(project.path('.slipway/runs'))).toBe(false);
    expect((await project.run(words)).status).toBe(1);
    const second = await project.run([...words, '--runbook']);
    expect(second.stdout).toContain("npm run task -- ship --token '***' --fail 3\n");
    expect(second.stdout).toContain('ended with status 3` (once on ');
    for (const { stdout } of [first, second]) expect(stdout).not.toContain('hunter2');
  }));

test('--graph prints the tasks that are named, or all; nothing is performed', () =>
  inProject({ tasks: TASKS }, async (project) => {
    const all = await project.run(['--graph']);
    expect(all).toEqual({
      status: 0,
      signal: null,
      stderr: '',
      stdout: 'flowchart LR\n  t0["lint"]\n  t1(["build"])\n  t2(["ship"])\n  t0 --> t2\n  t1 --> t2\n',
    });
    const one = await project.run(['ship', '--token', SECRET, '--graph', 'json']);
    expect(JSON.parse(one.stdout)).toEqual({
      nodes: [
        { id: 'lint', task: 'lint', summary: 'Lint it.', needs: [], goal: false },
        { id: 'build', task: 'build', summary: 'Build it.', needs: [], goal: false },
        { id: 'ship(token=***)', task: 'ship', summary: 'Ship it.', needs: ['lint', 'build'], goal: true },
      ],
    });
    expect((await project.run(['build', '--graph', '--json'])).stdout).toContain('"id":"build"');
    expect((await project.run(['--graph=dot', 'build'])).stdout).toContain('digraph tasks {');
    const wrong = await project.run(['--graph=svg']);
    expect([wrong.status, wrong.stderr]).toEqual([
      2,
      'slipway: --graph has no format svg\n  type --graph=mermaid or --graph=dot or --graph=json\n',
    ]);
    expect(existsSync(project.path('.slipway'))).toBe(false);
  }));
