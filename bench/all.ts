/** Every figure beside its target; status 1 when one is missed. Run: `npm run bench`, on a machine that does nothing else. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { measureFan } from './fan.ts';
import { report, type Figure } from './figures.ts';
import { measureInputs } from './inputs.ts';
import { measureLiveView } from './live-view.ts';
import { measureNoop } from './noop.ts';
import { measureStartup } from './startup.ts';
import { measureTransfer } from './transfer.ts';

const SHAPES = ['chain', 'fan', 'random'] as const;
const TASKS = 10_000;

/** A process of its own, so that nothing else that is measured has warmed or filled it. */
function measureEngine(): readonly Figure[] {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', join(import.meta.dirname, 'engine.ts'), String(TASKS)],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`bench/engine.ts: status ${String(status)}\n${stderr}`);
  return SHAPES.flatMap((shape) => {
    const line = stdout.split('\n').find((line) => line.startsWith(shape)) ?? '';
    const [plan, run] = [/ plan ([\d.]+)/, / run ([\d.]+)/].map((of) => Number(of.exec(line)?.[1]));
    if (plan === undefined || run === undefined || Number.isNaN(plan + run))
      throw new Error(`bench/engine.ts said nothing of ${shape}:\n${stdout}`);
    return [
      { what: `${shape} of 10,000 tasks: plan one`, measured: plan, unit: 'µs', atMost: null },
      { what: `${shape} of 10,000 tasks: run one`, measured: run, unit: 'µs', atMost: 20 },
    ] as const;
  });
}

const figures = [
  ...(await measureStartup()),
  ...measureEngine(),
  ...(await measureLiveView()),
  ...(await measureNoop()),
  ...(await measureFan()),
  ...(await measureInputs()),
  ...(await measureTransfer()),
];
process.exitCode = report(figures) ? 0 : 1;
