import { CancelSource } from '../../lib/engine/cancel.ts';
import { openLedger } from '../../lib/host/ledger.ts';
import { createMask } from '../../lib/host/mask.ts';
import { superviseProcess } from '../../lib/host/process.ts';

/** A runner in a terminal: one command, Ctrl-C cancels. */
const [dir = '', script = '', stdin] = process.argv.slice(2);
const cancel = new CancelSource();
process.on('SIGINT', () => cancel.cancel({ reason: 'cancelled', signal: 'SIGINT' }));
const end = await superviseProcess(
  {
    argv: ['sh', '-c', script],
    cwd: dir,
    env: { PATH: process.env['PATH'] ?? '' },
    stdin: stdin === 'terminal' ? 'terminal' : 'none',
    capture: false,
    logFile: `${dir}/log`,
  },
  {
    cancel,
    ledger: openLedger(dir, 'r'),
    mask: createMask([]),
    output: (_, text) => void process.stdout.write(text),
    graceMs: 300,
  },
);
process.stdout.write(`${JSON.stringify(end)}\n`);
