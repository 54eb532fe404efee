import type { Supervisor } from './service.ts';

export type Transport = 'ssh2' | 'ssh';

/** The variable that configures a device: `my-board`, `HOST` → `MY_BOARD_HOST`. */
export function deviceVariable(device: string, setting: string): string {
  return `${device.toUpperCase().replaceAll('-', '_')}_${setting}`;
}

/** How a device is reached, as configuration or the rehearsal device says. `null` leaves it to ssh_config and SSH's defaults. */
export interface DeviceTarget {
  readonly name: string;
  /** A host name, an address, or an alias of ssh_config. */
  readonly host: string;
  readonly port: number | null;
  readonly user: string | null;
  /** Private key file. */
  readonly key: string | null;
  readonly knownHosts: string | null;
  /** Absolute, or `~/…` below the login's home folder on the device. */
  readonly root: string;
  /** The one port that the device shows to the world; `null`: the device chooses one and keeps it. */
  readonly httpPort: number | null;
  /** Who speaks SSH: the library, or the system's own `ssh`, which follows jump hosts and knows FIDO keys and certificates. */
  readonly transport: Transport;
  /** Whether the agent becomes root through sudo; `null`: only where it must. */
  readonly sudo: boolean | null;
  /** How long a connection that was lost is tried again, in ms; `null`: as long as usual. */
  readonly reconnectMs: number | null;
  /** The embedded stand-in: ssh_config and the SSH agent are left out of it. */
  readonly rehearsal: boolean;
  /** Who keeps its services; `null`: whom the system declares. */
  readonly supervisor: Supervisor | null;
}
