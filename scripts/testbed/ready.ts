import { connect } from 'node:net';
import { setTimeout as rest } from 'node:timers/promises';
import type { Board } from './board.ts';
import { containerState } from './container.ts';
import { Problem } from './problem.ts';
import { run } from './run.ts';

const UP_MS = 90_000;
const POLL_MS = 50;
const BANNER_MS = 1_000;
/** What failed, what is waited for, and what was said. */
const WHY = `export SYSTEMD_PAGER= SYSTEMD_COLORS=0
systemctl --failed --no-legend --plain; systemctl list-jobs --no-legend --plain; journalctl -b -n 60 --no-hostname`;

/**
 * Waits until systemd has started all it has to, and sshd answers unless the cable is pulled. Fails with
 * `not-up-in-time`, at once when a unit failed where `nothing failed` is wanted.
 */
export async function untilUp(board: Board, enough: 'any' | 'nothing failed'): Promise<void> {
  const deadline = performance.now() + UP_MS;
  let state = '';
  for (;;) {
    state = (await board.exec(['systemctl', 'is-system-running'])).stdout.trim();
    const failed = state === 'degraded' && enough === 'nothing failed';
    if (failed || performance.now() > deadline || !(await containerRuns(board.name))) break;
    const started = state === 'running' || state === 'degraded';
    if (started && ((await board.isCut()) || (await greets(board.ports.ssh)))) return;
    await rest(POLL_MS);
  }
  const units = await board.exec(['sh', '-c', WHY]);
  const { stdout, stderr } = await run(['docker', 'logs', '--tail', '20', board.name]);
  throw new Problem({ reason: 'not-up-in-time', name: board.name, state, said: units.stdout + stdout + stderr });
}

const containerRuns = async (name: string): Promise<boolean> => (await containerState(name))?.running ?? false;

/** Whether an SSH server says who it is. */
function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const end = (said: boolean): void => {
      socket.destroy();
      resolve(said);
    };
    socket.setTimeout(BANNER_MS, () => end(false));
    socket.once('data', (text) => end(text.toString('latin1').startsWith('SSH-')));
    socket.once('error', () => end(false)).once('close', () => end(false));
  });
}
