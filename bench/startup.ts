/** What listing the tasks costs beyond Node and tsx themselves. Run: `node --import tsx bench/startup.ts`. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { asProgram, median, type Figure } from './figures.ts';

const ROOT = join(import.meta.dirname, '..');
const ROUNDS = 25;
const AT_MOST = 1.35;

function timeMs(...args: readonly string[]): number {
  const startMs = performance.now();
  const { status, stderr } = spawnSync(process.execPath, ['--import', 'tsx', ...args], { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${args.join(' ')}: status ${String(status)}\n${stderr}`);
  return performance.now() - startMs;
}

/** Takes turns, so that both meet the same machine; the first turn fills tsx's cache and does not count. */
export function measureStartup(): Promise<readonly Figure[]> {
  const turns = Array.from({ length: ROUNDS + 1 }, () => ({
    emptyMs: timeMs('bench/empty.ts'),
    listMs: timeMs('tasks.ts', '--list'),
  })).slice(1);
  const emptyMs = median(turns.map((turn) => turn.emptyMs));
  const listMs = median(turns.map((turn) => turn.listMs));
  return Promise.resolve([
    { what: 'an empty file under tsx', measured: emptyMs, unit: 'ms', atMost: null },
    { what: '--list', measured: listMs, unit: 'ms', atMost: null },
    {
      what: '--list : an empty file',
      measured: median(turns.map((turn) => turn.listMs / turn.emptyMs)),
      unit: '×',
      atMost: AT_MOST,
    },
  ]);
}

await asProgram(import.meta, measureStartup);
