import type { DeviceTarget, Transport } from '../../lib/model/device.ts';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { startRehearsalDevice } from '../../lib/rehearsal/device.ts';
import { missingTools, startSshd, type Sshd } from './sshd.ts';
import { temporary } from './temporary.ts';

/** A device of a test, whichever server is behind it. */
export interface TestDevice {
  readonly target: DeviceTarget;
  readonly root: string;
  readonly sshd: Sshd | null;
  stop(): Promise<void>;
}

const openssh = async (transport: Transport): Promise<TestDevice> => {
  const sshd = await startSshd({ transport });
  return { target: sshd.device, root: sshd.root, sshd, stop: () => sshd.stop() };
};

/** The two servers that Slipway meets: OpenSSH's, reached either way, and its own. */
export const devices: readonly {
  readonly kind: string;
  readonly missing: string | null;
  start(): Promise<TestDevice>;
}[] = [
  { kind: 'sshd', missing: missingTools, start: () => openssh('ssh2') },
  { kind: 'sshd through ssh', missing: missingTools, start: () => openssh('ssh') },
  {
    kind: 'the rehearsal device',
    missing: null,
    async start() {
      const folder = temporary('rehearsal');
      const rehearsal = await startRehearsalDevice({
        slipwayDir: join(folder.path, '.slipway'),
        name: 'rehearsal',
        graceMs: 1_000,
      });
      const stop = async (): Promise<void> => {
        await rehearsal.close();
        rmSync(folder.path, { recursive: true, force: true });
      };
      return { target: rehearsal.device, root: rehearsal.device.root, sshd: null, stop };
    },
  },
];
