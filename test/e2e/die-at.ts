/**
 * Loaded before `tasks.ts` by crash tests: something goes wrong around the DIE_LINE-th line that its own process writes
 * to a run's journal, of those that hold DIE_LIKE. DIE: `before` the line is written, `within` (half of it is), `after`
 * it, or `soon` (DIE_SOON_MS) after it, in the middle of what it announces. What goes wrong is the signal DIE_WITH to
 * the process (with DIE_GROUP to its whole group), or else the command DIE_DO (an argv in JSON), which is waited for;
 * the file DIE_TOLD then says that it was done.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const { closeSync, openSync, writeSync, writeFileSync } = fs;
const { DIE, DIE_DO, DIE_TOLD, DIE_WITH } = process.env;
const journals = new Set<number>();
const at = Number(process.env['DIE_LINE']);
const like = process.env['DIE_LIKE'] ?? '';
const soonMs = Number(process.env['DIE_SOON_MS']);
let lines = 0;

function die(): void {
  if (DIE_DO === undefined)
    return void process.kill(process.env['DIE_GROUP'] === undefined ? process.pid : 0, DIE_WITH);
  const [command = '', ...args] = JSON.parse(DIE_DO) as readonly string[];
  const done = spawnSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  if (DIE_TOLD === undefined) return;
  // Whole when it is there: it is read at once.
  writeFileSync(`${DIE_TOLD}.new`, done.status === 0 ? 'done' : `failed: ${String(done.stderr)}`);
  fs.renameSync(`${DIE_TOLD}.new`, DIE_TOLD);
}

fs.openSync = (...args) => {
  const fd = openSync(...args);
  if (String(args[0]).endsWith('/journal.jsonl')) journals.add(fd);
  return fd;
};

fs.closeSync = (fd) => {
  journals.delete(fd);
  closeSync(fd);
};

fs.writeSync = ((fd: number, bytes: Buffer, ...rest: []) => {
  const mine = journals.has(fd) && bytes.toString().includes(like) && ++lines === at;
  if (mine && DIE === 'before') die();
  if (mine && DIE === 'within') {
    writeSync(fd, bytes.subarray(0, bytes.length / 2));
    die();
  }
  const written = writeSync(fd, bytes, ...rest);
  if (mine && DIE === 'after') die();
  if (mine && DIE === 'soon') setTimeout(die, soonMs);
  return written;
}) as typeof fs.writeSync;

syncBuiltinESMExports();
