import { CancelSource, NEVER } from '../../lib/engine/cancel.ts';
import { openLedger } from '../../lib/host/ledger.ts';
import { createMask } from '../../lib/host/mask.ts';
import { startProcess } from '../../lib/host/process.ts';
import { enterScope } from '../../lib/host/scope.ts';
import { Helper } from '../../lib/host/starter.ts';
import { takeLock } from '../../lib/host/lock.ts';
import { openTurns } from '../../lib/host/turns.ts';

/** A runner that is killed: at once after a spawn, before the ledger has the pid (`gap`), or when told. */
const [dir = '', how, by] = process.argv.slice(2);
const starter = by === 'helper' ? new Helper() : undefined;
await starter?.begin();
const ledger = openLedger(dir, 'r1');
const daemon =
  "import os, time; os.setsid(); open('daemon', 'w').write(f'{os.getpid()}\\n'); os.close(1); os.close(2); time.sleep(60)";
const script =
  'trap "" TERM HUP; sh -c "trap \'\' TERM; echo \\$\\$ > inner; while :; do sleep 0.1; done" & python3 -c "$DAEMON" & echo $$ > pid; while :; do sleep 0.1; done';
takeLock(dir, 'held', 'r1');
await openTurns(dir, 'r1').take('w', ['out/**'], NEVER, () => undefined);
await enterScope({ kind: 'scratch', place: 'here', name: 's' }, { slipwayDir: dir, run: 'r1', ledger });
startProcess(
  {
    argv: ['sh', '-c', script],
    cwd: dir,
    env: { PATH: process.env['PATH'] ?? '', DAEMON: daemon },
    stdin: 'none',
    capture: false,
    logFile: `${dir}/log`,
  },
  {
    cancel: new CancelSource(),
    mask: createMask([]),
    output: () => undefined,
    graceMs: 60_000,
    ...(starter && { starter }),
    ledger: how === 'gap' ? { ...ledger, spawned: () => process.kill(process.pid, 'SIGKILL') } : ledger,
  },
);
setInterval(() => undefined, 1000);
