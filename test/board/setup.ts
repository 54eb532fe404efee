import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { lifeOf, ownIdentity, type Identity } from '../../lib/host/identity.ts';
import { Board } from '../../scripts/testbed/board.ts';
import { allBoards, type ListedBoard } from '../../scripts/testbed/container.ts';
import { ensureDaemon } from '../../scripts/testbed/daemon.ts';
import { ensureImage } from '../../scripts/testbed/image.ts';
import { Problem } from '../../scripts/testbed/problem.ts';

/** What test files know of the run's boards. */
export interface Boards {
  /** Why there can be none, or null. */
  readonly missing: string | null;
  /** Folder of the run's keys and disks. */
  readonly state: string;
  /** The run, as it signs its boards. */
  readonly owner: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    readonly boards: Boards;
  }
}

const NONE: Boards = { missing: 'no test of this run names the board', state: '', owner: '' };

/**
 * Once for all test files, when one of them imports `board.ts`: sees to docker's daemon, begins to build the image while
 * other tests run, removes what runs that were killed left; and at the end all of its own.
 */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  if (!(await namesTheBoard(project))) return void project.provide('boards', NONE);
  const daemon = await daemonOrWhy();
  if ('missing' in daemon) {
    if (process.env['CI']) throw new Error(daemon.missing);
    return void project.provide('boards', { ...NONE, missing: daemon.missing });
  }
  const state = realpathSync(mkdtempSync(join(tmpdir(), 'slipway-boards-')));
  const owner = JSON.stringify(ownIdentity());
  project.provide('boards', { missing: null, state, owner });
  const swept = sweep((one) => lifeOf(JSON.parse(one.owner) as Identity) === 'dead');
  // A failure is told by the tests, which ask for the image themselves.
  const built = ensureImage().catch(() => undefined);
  return async () => {
    await Promise.all([swept, built]);
    await sweep((one) => one.owner === owner);
    rmSync(state, { recursive: true, force: true });
    if (daemon.started !== null && (await allBoards()).length === 0) process.kill(daemon.started);
  };
}

/** Whether a test file of this run imports the board; without a word on the command line all files are. */
async function namesTheBoard(project: TestProject): Promise<boolean> {
  const { filenamePattern } = project.vitest as unknown as { readonly filenamePattern?: string[] };
  const { testFiles } = await project.globTestFiles(filenamePattern);
  return testFiles.some((path) => /from '(\.\/|\.\.\/board\/)board\.ts'/.test(readFileSync(path, 'utf8')));
}

async function daemonOrWhy(): Promise<{ readonly missing: string } | { readonly started: number | null }> {
  try {
    return { started: await ensureDaemon() };
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    const { kind } = problem;
    return { missing: kind.reason === 'tools-missing' ? kind.packages.join(', ') : problem.message };
  }
}

async function sweep(which: (board: ListedBoard) => boolean): Promise<void> {
  const doomed = (await allBoards()).filter((one) => one.owner !== '' && which(one));
  for (const { name, state } of doomed) await Board.remove({ name, state });
}
