import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CancelSource } from '../../lib/engine/cancel.ts';
import { openLedger } from '../../lib/host/ledger.ts';
import { createMask } from '../../lib/host/mask.ts';
import { superviseProcess } from '../../lib/host/process.ts';
import { Outcomes } from '../../lib/report/outcome.ts';

/** Supervises a child that writes many megabytes, follows them as the live view does, and says by how many megabytes its own memory grew at most. */
const [dir = '', mb = '', how] = process.argv.slice(2);
const logFile = join(dir, 'log');
const outcomes = new Outcomes();
outcomes.add({ type: 'task-started', task: 't' }, 0);
const before = process.memoryUsage.rss();
let most = before;
const timer = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 5);
const end = await superviseProcess(
  {
    argv: ['sh', '-c', `yes 0123456789012345678901234567890 | head -c ${mb}000000`],
    cwd: dir,
    env: { PATH: process.env['PATH'] ?? '' },
    stdin: 'none',
    capture: false,
    logFile,
  },
  {
    cancel: new CancelSource(),
    ledger: openLedger(dir, 'r'),
    mask: createMask(['a-secret-that-never-comes']),
    output: (stream, text) => {
      outcomes.add({ type: 'step-output', id: 't/1', stream, text }, 0);
      most = Math.max(most, process.memoryUsage.rss());
      if (how === 'print') process.stdout.write(text);
    },
  },
);
clearInterval(timer);
if (!end.ok) throw new Error(JSON.stringify(end.failure));
const result = JSON.stringify({ grownMb: Math.round((most - before) / 1e6), loggedMb: statSync(logFile).size / 1e6 });
if (how === 'print') writeFileSync(join(dir, 'grown.json'), result);
else process.stdout.write(result);
