import type { DeviceTarget } from '../model/device.ts';
import { makeFolders } from './root.ts';
import { makeRunKeys } from './run-keys.ts';
import { REHEARSAL_USER, startServer } from './server.ts';

export interface RehearsalOptions {
  readonly slipwayDir: string;
  readonly name: string;
  /** `REHEARSAL_HTTP_PORT`; `null`: the device chooses one and keeps it. */
  readonly httpPort?: number | null;
  /** PATH on the device, where its programs are found; the operator's unless given. */
  readonly path?: string;
  /** From TERM to KILL when a connection goes, in ms. */
  readonly graceMs?: number;
}

export interface RehearsalDevice {
  readonly device: DeviceTarget;
  /** Ends the server and what its connections ran; services live on. */
  close(): Promise<void>;
}

const DEFAULT_PATH = '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin';
const GRACE_MS = 15_000;

/**
 * Starts the embedded device: an SSH server in this process with keys of this run, a scratch root, real processes. Two
 * runs at once have a server each; on their common root the agent's lock arbitrates, as between two clients of a board.
 */
export async function startRehearsalDevice(options: RehearsalOptions): Promise<RehearsalDevice> {
  const { slipwayDir, name, httpPort = null, path = process.env['PATH'] ?? DEFAULT_PATH, graceMs = GRACE_MS } = options;
  const { root, home } = makeFolders(slipwayDir, name);
  const keys = await makeRunKeys(slipwayDir);
  const server = await startServer(keys, { home, path, graceMs });
  const { port } = server;
  return {
    device: {
      name,
      host: '127.0.0.1',
      port,
      user: REHEARSAL_USER,
      key: keys.clientKeyFile,
      knownHosts: keys.writeKnownHosts(port),
      root,
      httpPort,
      transport: 'ssh2',
      sudo: null,
      reconnectMs: null,
      rehearsal: true,
      supervisor: 'plain',
    },
    async close() {
      await server.close();
      keys.remove();
    },
  };
}
