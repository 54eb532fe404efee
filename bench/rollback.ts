/** How long a rollback takes beyond stopping and starting the service. Run: `node --import tsx bench/rollback.ts`. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Hello } from '../test/hello.ts';
import { asProgram, median, type Figure } from './figures.ts';

const ROUNDS = 5;
const AT_MOST_MS = 1_000;
const SERVICE = /(start|stop) service /;

interface Line {
  readonly type: string;
  readonly at: string;
  readonly id?: string;
  readonly line?: string;
  readonly durationMs?: number;
}

/** Of the last run: all of its time, and the part in which the service was stopped and started. */
function lastRun(project: string): { readonly allMs: number; readonly serviceMs: number } {
  const runs = join(project, '.slipway/runs');
  const journals = readdirSync(runs).map((run) => join(runs, run, 'journal.jsonl'));
  const [last = ''] = journals.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  const lines = readFileSync(last, 'utf8')
    .trim()
    .split('\n')
    .map((text) => JSON.parse(text) as Line);
  let serviceMs = 0;
  for (const begun of lines.filter(({ type, line }) => type === 'step-started' && SERVICE.test(line ?? ''))) {
    const ended = lines.find(({ type, id }) => type === 'step-finished' && id === begun.id);
    serviceMs += Date.parse(ended?.at ?? '') - Date.parse(begun.at);
  }
  return { allMs: lines.find(({ type }) => type === 'run-finished')?.durationMs ?? NaN, serviceMs };
}

/** Back and forth between two releases on the rehearsal device: a new connection each time, gate and confirmation included. */
export async function measureRollback(): Promise<readonly Figure[]> {
  const hello = new Hello();
  const must = async (...args: readonly string[]): Promise<void> => {
    const { status, stdout, stderr } = await hello.slipway(args);
    if (status !== 0) throw new Error(`${args.join(' ')}: status ${String(status)}\n${stdout}${stderr}`);
  };
  try {
    await must('deploy');
    hello.write('server.py', `${readFileSync(join(hello.path, 'server.py'), 'utf8')}# another\n`);
    await must('deploy');
    const releases = readdirSync(join(hello.path, '.slipway/rehearsal/rehearsal/releases'));
    const beyondMs: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const current = readFileSync(join(hello.path, '.slipway/rehearsal/rehearsal/run/web.json'), 'utf8');
      await must('rollback', '--release', releases.find((id) => !current.includes(id)) ?? '');
      const { allMs, serviceMs } = lastRun(hello.path);
      beyondMs.push(allMs - serviceMs);
    }
    return [
      {
        what: "rollback, beyond the service's own restart",
        measured: median(beyondMs),
        unit: 'ms',
        atMost: AT_MOST_MS,
      },
    ];
  } finally {
    await hello.slipway(['rehearsal', 'stop']);
    hello.remove();
  }
}

await asProgram(import.meta, measureRollback);
