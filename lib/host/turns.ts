import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import type { Cancel, Turns } from '../model/ports.ts';
import { clock } from './clock.ts';
import { readGlobs } from './glob.ts';
import { GRACE_MS } from './group.ts';
import { lifeOf, ownIdentity, type Identity } from './identity.ts';
import { outerRuns, reapRun } from './ledger.ts';
import { processOf, takeLock } from './lock.ts';
import { safeName } from './names.ts';
import { codeOf, isUnwritable, makePrivateFolder, writeFileAtomic } from './store.ts';

/** A task that makes its outputs now: a file that counts as long as its process lives, and what that left running. */
interface Claim extends Identity {
  readonly run: string;
  readonly task: string;
  /** The folders before each output glob's first wildcard. */
  readonly roots: readonly string[];
}

/** Whose turn it is instead: empty when others are only looking, too. Or a run that died, whose commands may still write. */
type Other = { readonly holder: string } | { readonly dead: Claim };

/** Time between two looks whether the turn came, in ms: a holder that was killed tells nobody. */
const LOOK_MS = 50;

/**
 * Turns on outputs between the runs of one checkout. A task claims all of its outputs at once or none. A run
 * does not wait for those `within` whose tasks it was started: it would do so for ever.
 */
export function openTurns(slipwayDir: string, run: string, within = outerRuns(), graceMs = GRACE_MS): Turns {
  const folder = join(slipwayDir, 'turns');
  return {
    async take(task, outputs, cancel, waiting) {
      const claim: Claim = { ...ownIdentity(), run, task, roots: rootsOf(outputs) };
      const path = join(folder, `${safeName(`${run} ${task}`)}.json`);
      const reaped = new Set<string>();
      for (let told = ''; ;) {
        const other = unlessFull(() => claimUnless(slipwayDir, path, claim, within, reaped));
        if (other === null) return () => fs.rmSync(path, { force: true });
        if (cancelled(cancel)) return null;
        if ('dead' in other) {
          waiting('');
          await reapRun(slipwayDir, other.dead.run, graceMs);
          reaped.add(runnerOf(other.dead));
          continue;
        }
        const { holder } = other;
        if (holder !== told) waiting(holder);
        told = holder === '' ? told : holder;
        await clock.sleep(LOOK_MS, cancel);
      }
    },
  };
}

/** A disk that filled up while the run goes on must not end it: then there are no turns. */
function unlessFull(claim: () => Other | null): Other | null {
  try {
    return claim();
  } catch (error) {
    if (isUnwritable(error)) return null;
    throw error;
  }
}

const cancelled = ({ cancelled: why }: Cancel): boolean => why !== null;

const rootsOf = (outputs: readonly string[]): readonly string[] =>
  readGlobs(outputs).wanted.map(({ root }) => root.join('/'));

const runnerOf = ({ run, pid, started, boot }: Claim): string => JSON.stringify([run, pid, started, boot]);

/** Writes the claim down, unless it is another's turn; claims of dead runners go once those are `reaped`. */
function claimUnless(
  slipwayDir: string,
  path: string,
  claim: Claim,
  within: readonly string[],
  reaped: ReadonlySet<string>,
): Other | null {
  const looking = takeLock(slipwayDir, 'turns', claim.run);
  if (!looking.ok) return { holder: '' };
  try {
    const folder = dirname(path);
    makePrivateFolder(folder);
    for (const name of fs.readdirSync(folder)) {
      const other = readClaim(join(folder, name));
      if (other === null || other.run === claim.run || within.includes(other.run)) continue;
      if (lifeOf(other) === 'dead') {
        if (!reaped.has(runnerOf(other))) return { dead: other };
        fs.rmSync(join(folder, name), { force: true });
      } else if (other.roots.some((root) => claim.roots.some((mine) => overlap(root, mine))))
        return { holder: `${other.task} of run ${other.run} (${processOf(other, join(folder, name))})` };
    }
    writeFileAtomic(path, JSON.stringify(claim), 0o600, false);
    return null;
  } finally {
    looking.release();
  }
}

/** One lies at or below the other. */
const overlap = (a: string, b: string): boolean =>
  a === '' || b === '' || a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`);

function readClaim(path: string): Claim | null {
  try {
    return JSON.parse(fs.readFileSync(path, 'utf8')) as Claim;
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || error instanceof SyntaxError) return null;
    throw error;
  }
}
