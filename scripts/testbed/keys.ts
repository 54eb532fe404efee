import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { must } from './run.ts';

/** The operator's key to all boards of a testbed, made unless it is there; the path of its private half. */
export async function operatorKey(state: string): Promise<string> {
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const key = join(state, 'key');
  // Several boards may be made at once, by several processes too.
  const once = 'test -e "$1" || exec ssh-keygen -q -t ed25519 -N "" -C slipway-testbed -f "$1"';
  await must(['flock', join(state, 'key.lock'), 'sh', '-c', once, 'sh', key]);
  return key;
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
