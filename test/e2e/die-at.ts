/**
 * Loaded before `tasks.ts` by crash tests: sends its own process (or with DIE_GROUP its whole group) the signal
 * DIE_WITH around the DIE_LINE-th line that it writes to a run's journal, of those that hold DIE_LIKE. DIE: `before` it
 * is written, `within` (half of it is), `after` it, or `soon` after it, in the middle of what it announces.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const { openSync, writeSync } = fs;
const journals = new Set<number>();
const at = Number(process.env['DIE_LINE']);
const like = process.env['DIE_LIKE'] ?? '';
const soonMs = Number(process.env['DIE_SOON_MS']);
let lines = 0;

const die = (): void =>
  void process.kill(process.env['DIE_GROUP'] === undefined ? process.pid : 0, process.env['DIE_WITH']);

fs.openSync = (...args) => {
  const fd = openSync(...args);
  if (String(args[0]).endsWith('/journal.jsonl')) journals.add(fd);
  return fd;
};

fs.writeSync = ((fd: number, bytes: Buffer, ...rest: []) => {
  const mine = journals.has(fd) && bytes.toString().includes(like) && ++lines === at;
  if (mine && process.env['DIE'] === 'before') die();
  if (mine && process.env['DIE'] === 'within') {
    writeSync(fd, bytes.subarray(0, bytes.length / 2));
    die();
  }
  const written = writeSync(fd, bytes, ...rest);
  if (mine && process.env['DIE'] === 'after') die();
  if (mine && process.env['DIE'] === 'soon') setTimeout(die, soonMs);
  return written;
}) as typeof fs.writeSync;

syncBuiltinESMExports();
