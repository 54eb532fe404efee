import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { must } from './run.ts';

/** The operator's private key to all boards of a testbed; its public half has `.pub` behind it. */
export const operatorKey = (state: string): string => join(state, 'operator', 'key');

/** Makes the operator's key unless it is there. */
export async function ensureOperatorKey(state: string): Promise<void> {
  if (!existsSync(operatorKey(state))) await makeOperatorKey(state);
  // It goes over with its mode, and sshd there reads it as whoever logs in, whatever the umask here is.
  chmodSync(`${operatorKey(state)}.pub`, 0o644);
}

async function makeOperatorKey(state: string): Promise<void> {
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const fresh = mkdtempSync(join(state, 'operator-'));
  await makeKey(join(fresh, 'key'), 'slipway-testbed');
  try {
    // Both halves at once: another board may be coming up beside this one.
    renameSync(fresh, join(state, 'operator'));
  } catch (error) {
    if (!existsSync(operatorKey(state))) throw error;
    rmSync(fresh, { recursive: true });
  }
}

/** Gives a board a host key of its own, and the operator a known_hosts file with nothing else in it. */
export async function makeHostKey(folder: string, name: string, port: number): Promise<void> {
  const key = join(folder, 'host_key');
  for (const path of [key, `${key}.pub`]) rmSync(path, { force: true });
  await makeKey(key, name);
  const [type = '', text = ''] = readFileSync(`${key}.pub`, 'utf8').split(' ');
  writeFileSync(join(folder, 'known_hosts'), `[127.0.0.1]:${String(port)} ${type} ${text}\n`);
}

async function makeKey(path: string, comment: string): Promise<void> {
  await must(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', path]);
}
