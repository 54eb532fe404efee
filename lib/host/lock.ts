import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { lifeOf, ownIdentity, type Identity } from './identity.ts';
import { safeName } from './names.ts';
import { besideOf, codeOf, makePrivateFolder } from './store.ts';

/** What stands in a lock file: who holds it; `turn` differs each time that it is taken. */
interface Holder extends Identity {
  readonly run: string;
  readonly turn: string;
}

/** A lock that was taken, or who has it. */
export type Locked = { readonly ok: true; release(): void } | { readonly ok: false; readonly holder: string };

/** Of a file that is no JSON: each was linked into its place whole, so that only a power cut leaves one, of an earlier boot. */
const DAMAGED: Holder = { pid: 0, started: '', boot: 'earlier', space: '', run: '', turn: 'damaged' };

/** Attempts while others take and release at the same time; each failed one means that another got on. */
const MAX_ATTEMPTS = 100;
/** Depth of claims on dead claims: each level needs one more process killed within these few system calls. */
const MAX_DEPTH = 8;

/** A holder's process in words, and what to do where nobody here can tell whether it lives. */
export const processOf = (holder: Identity, path: string): string =>
  `process ${String(holder.pid)}` +
  (lifeOf(holder) === 'elsewhere' ? ` in another container; if that is surely gone, remove ${path}` : '');

/**
 * Takes a named lock of this checkout without waiting. Node has no flock, so the lock is a file that names its holder,
 * made whole or not at all (written beside, then linked), and free once that process is dead.
 */
export function takeLock(slipwayDir: string, name: string, run: string): Locked {
  const path = pathOf(slipwayDir, name);
  makePrivateFolder(dirname(path));
  return take(path, { ...ownIdentity(), run, turn: randomBytes(8).toString('hex') }, 0);
}

/** The run that holds a lock and is dead, `null` when there is none: what it left running may still do what the lock was for. */
export function deadHolder(slipwayDir: string, name: string): string | null {
  const holder = readHolder(pathOf(slipwayDir, name));
  return holder !== null && holder !== DAMAGED && lifeOf(holder) === 'dead' ? holder.run : null;
}

const pathOf = (slipwayDir: string, name: string): string => join(slipwayDir, 'locks', `${safeName(name)}.lock`);

function take(path: string, mine: Holder, depth: number): Locked {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    if (linkWhole(path, JSON.stringify(mine))) return { ok: true, release: () => void releaseIf(path, mine.turn) };
    const holder = readHolder(path);
    if (holder === null) continue;
    if (lifeOf(holder) !== 'dead' || depth === MAX_DEPTH)
      return { ok: false, holder: `run ${holder.run}, ${processOf(holder, path)}` };
    removeDead(path, holder, mine, depth);
  }
  return { ok: false, holder: 'others, one after the other' };
}

/**
 * Two that see the same dead holder must not both remove the file: the second would remove the first one's new lock.
 * So the file of one turn is removed only under a lock of its own, and only while it still is that turn's.
 */
function removeDead(path: string, dead: Holder, mine: Holder, depth: number): void {
  const claim = take(`${path}.${dead.turn}`, mine, depth + 1);
  if (!claim.ok) return;
  releaseIf(path, dead.turn);
  claim.release();
}

function releaseIf(path: string, turn: string): void {
  if (readHolder(path)?.turn === turn) fs.rmSync(path, { force: true });
}

/** Makes a file appear with its content; false when one is there. */
function linkWhole(path: string, content: string): boolean {
  const beside = besideOf(path);
  fs.writeFileSync(beside, content, { mode: 0o600, flag: 'wx' });
  try {
    fs.linkSync(beside, path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    fs.rmSync(beside, { force: true });
  }
}

function readHolder(path: string): Holder | null {
  try {
    return JSON.parse(fs.readFileSync(path, 'utf8')) as Holder;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    if (error instanceof SyntaxError) return DAMAGED;
    throw error;
  }
}
