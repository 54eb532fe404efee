import { inject } from 'vitest';
import { Board } from '../../scripts/testbed/board.ts';
import { run, type Ended } from '../../scripts/testbed/run.ts';
import type { Account, BoardSize } from '../../scripts/testbed/settings.ts';

export { targetOf } from './target.ts';

/** Why no board can be had, for `describe.skipIf` and its name; null where it can. Never in CI. */
export const boardMissing: string | null = inject('boards').missing;

/** How long a board may take whose image is yet to be built: the timeout of the `beforeAll` that makes it. */
export const BOARD_MS = 400_000;

/** Boards of this worker, of which a test file may have several. */
const worker = `slipway-test-${String(process.ppid)}-${process.env['VITEST_POOL_ID'] ?? '0'}`;

/**
 * A new board for a test file, in about a second; the one that an earlier file of the worker had under that name goes.
 * `name` tells several of one file apart. What is left at the end of the run is removed then.
 */
export async function board(more: { readonly name?: string; readonly size?: Partial<BoardSize> } = {}): Promise<Board> {
  const { state, owner } = inject('boards');
  const id = { name: more.name === undefined ? worker : `${worker}-${more.name}`, state };
  if (await Board.exists(id)) await Board.remove(id);
  return Board.up({ ...id, owner, size: more.size ?? {} });
}

/** The system's own SSH client with the operator's key; what follows is a remote command. */
export function sshArgv(board: Board, account: Account): readonly ['ssh', ...string[]] {
  const options = [`UserKnownHostsFile=${board.knownHosts}`, 'BatchMode=yes', 'StrictHostKeyChecking=yes'];
  return [
    'ssh',
    ...['-F', 'none', '-T', '-p', String(board.ports.ssh), '-i', board.key],
    ...options.flatMap((option) => ['-o', option]),
    `${account}@127.0.0.1`,
  ];
}

/** Runs a line of shell on the board as somebody who logged in. */
export function login(board: Board, account: Account, line: string, input = ''): Promise<Ended> {
  return run([...sshArgv(board, account), line], { input });
}
