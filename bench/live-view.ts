/** What the live view costs beyond plain lines, in a pseudo terminal. Run: `node --import tsx bench/live-view.ts`. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asProgram, median, type Figure } from './figures.ts';

const ROUNDS = 7;
const TASKS = 400;

interface Taken {
  readonly status: number;
  readonly wallMs: number;
  readonly cpuMs: number;
}

/** The terminal is Python's: Node has none, and everybody who deploys has Python. */
const IN_A_TERMINAL =
  'import pty, sys, os; os.environ.update(TERM="xterm-256color"); sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))';

function run(view: 'live' | 'plain', folder: string): Taken {
  const into = join(folder, 'taken.json');
  const node = [process.execPath, '--import', 'tsx', join(import.meta.dirname, 'live-run.ts'), view, into];
  const { status, stdout } = spawnSync('python3', ['-c', IN_A_TERMINAL, ...node], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  if (status !== 0) throw new Error(`the ${view} view: status ${String(status)}\n${stdout}`);
  const taken = JSON.parse(readFileSync(into, 'utf8')) as Taken;
  if (taken.status !== 0) throw new Error(`the ${view} view's run ended with ${String(taken.status)}`);
  return taken;
}

/** Both views take turns. */
export function measureLiveView(): Promise<readonly Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-bench-'));
  try {
    const turns = Array.from({ length: ROUNDS }, () => ({ plain: run('plain', folder), live: run('live', folder) }));
    return Promise.resolve([
      {
        what: '400 tasks of 10 ms, live view : plain lines',
        measured: median(turns.map(({ plain, live }) => live.wallMs / plain.wallMs)),
        unit: '×',
        atMost: 1.35,
      },
      {
        what: 'processor time of the live view, per task',
        measured: (median(turns.map(({ plain, live }) => live.cpuMs - plain.cpuMs)) * 1000) / TASKS,
        unit: 'µs',
        atMost: 1000,
      },
    ]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await asProgram(import.meta, measureLiveView);
