import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** Keys of one run: made for it, gone with it. */
export interface RunKeys {
  readonly hostKey: string;
  readonly clientPublic: string;
  /** Files for the client, 0600, in a folder of this run alone. */
  readonly clientKeyFile: string;
  writeKnownHosts(port: number): string;
  remove(): void;
}

/** A device name never begins with a dot, so these folders collide with no device's. */
const PREFIX = '.keys-';

/** Makes a fresh host key and client key; removes those of runs that were killed. */
export async function makeRunKeys(slipwayDir: string): Promise<RunKeys> {
  const ssh2 = (await import('ssh2')).default;
  const folder = join(resolve(slipwayDir), 'rehearsal');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  removeStale(folder);
  const own = mkdtempSync(join(folder, `${PREFIX}${String(process.pid)}-`));
  const [host, client] = [keyPair(ssh2), keyPair(ssh2)];
  const clientKeyFile = join(own, 'id_ed25519');
  writeFileSync(clientKeyFile, client.private, { mode: 0o600 });
  return {
    hostKey: host.private,
    clientPublic: client.public,
    clientKeyFile,
    writeKnownHosts(port) {
      const path = join(own, 'known_hosts');
      writeFileSync(path, `[127.0.0.1]:${String(port)} ${host.public}\n`, { mode: 0o600 });
      return path;
    },
    remove: () => rmSync(own, { recursive: true, force: true }),
  };
}

/**
 * A key pair that can be read again: ssh2 1.17 drops a leading zero byte of an ed25519 public key (`lib/keygen.js`), so
 * that one pair in 256 is malformed.
 */
function keyPair({ utils }: typeof import('ssh2')): { readonly public: string; readonly private: string } {
  for (;;) {
    const pair = utils.generateKeyPairSync('ed25519');
    if (!(utils.parseKey(pair.public) instanceof Error)) return pair;
  }
}

function removeStale(folder: string): void {
  for (const name of readdirSync(folder)) {
    const pid = new RegExp(`^\\${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (pid !== undefined && !isRunning(Number(pid))) rmSync(join(folder, name), { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
