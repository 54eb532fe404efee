import type { Account } from '../../scripts/testbed/settings.ts';
import type { Board } from '../../scripts/testbed/board.ts';
import { setTimeout as rest } from 'node:timers/promises';
import type { Random } from './random.ts';

/** Everything that goes wrong in the matrix. */
export const FAULTS = ['kill', 'cut', 'shell', 'agent', 'disk', 'reboot', 'power'] as const;
export type Fault = (typeof FAULTS)[number];

/** How long a cable is out: shorter than a lease, or longer, in ms. */
const CUTS_MS = [200, 2_500];
/** Ends whichever agents a board runs, and nothing else of Python's. */
const KILL_AGENTS =
  'for p in $(pgrep -x python3); do grep -aq "STREAM = io" /proc/$p/cmdline && kill -9 $p; done; exit 0';

/** What to run for a fault to happen, as an argv; null for the client's own end. */
export function faultArgv(fault: Fault, board: Board, account: Account): readonly string[] | null {
  const there = ['docker', 'exec', board.name];
  switch (fault) {
    case 'kill':
      return null;
    case 'cut':
      return [...there, 'sh', '-c', 'touch /etc/board/cut && nft -f /etc/board/cable.nft'];
    case 'shell':
      // None of them may be left: the run is over, or connects anew.
      return [...there, 'sh', '-c', `pkill -9 -f '^sshd: ${account}'; exit 0`];
    case 'agent':
      return [...there, 'sh', '-c', KILL_AGENTS];
    case 'disk':
      return [
        ...there,
        'sh',
        '-c',
        'mkdir -p /srv/.full; dd if=/dev/zero of=/srv/.full/zeros bs=1M; dd if=/dev/zero of=/srv/.full/rest bs=1k; exit 0',
      ];
    case 'reboot':
      return ['docker', 'stop', '--time', '100', board.name];
    case 'power':
      return ['docker', 'kill', board.name];
  }
}

/** What ends a fault while the client may still live, once it happened. */
export async function mend(fault: Fault, board: Board, random: Random): Promise<void> {
  if (fault === 'cut') {
    await rest(random.of(CUTS_MS));
    await board.mend();
  }
  if (fault === 'reboot' || fault === 'power') await board.on();
}
