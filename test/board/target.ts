import type { DeviceTarget } from '../../lib/model/device.ts';
import type { Board } from '../../scripts/testbed/board.ts';
import type { Account } from '../../scripts/testbed/settings.ts';

/** A board as a device of the library. */
export function targetOf(board: Board, account: Account = 'pilot', more: Partial<DeviceTarget> = {}): DeviceTarget {
  return {
    name: 'board',
    host: '127.0.0.1',
    port: board.ports.ssh,
    user: account,
    key: board.key,
    knownHosts: board.knownHosts,
    root: board.rootOf(account),
    httpPort: board.ports.http,
    transport: 'ssh2',
    sudo: null,
    reconnectMs: null,
    rehearsal: false,
    supervisor: null,
    ...more,
  };
}
