import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as rest } from 'node:timers/promises';
import { STATE } from './state.ts';
import { Problem } from './problem.ts';
import { isInstalled, run } from './run.ts';

/** What the board is made with: the command, and Debian's package that has it. */
const TOOLS: readonly (readonly [command: string, aptPackage: string])[] = [
  ['docker', 'docker.io'],
  ['dockerd', 'docker.io'],
  ['mmdebstrap', 'mmdebstrap'],
  ['ssh-keygen', 'openssh-client'],
  ['flock', 'util-linux'],
];
const START_MS = 60_000;
const POLL_MS = 100;

/** Debian packages that would have to be installed; a client that speaks to a daemon elsewhere needs no `dockerd`. */
export function missingPackages(): readonly string[] {
  const elsewhere = process.env['DOCKER_HOST'] !== undefined;
  const missing = TOOLS.filter(([command]) => !isInstalled(command) && !(elsewhere && command === 'dockerd'));
  return [...new Set(missing.map(([, aptPackage]) => aptPackage))];
}

/**
 * Sees to it that docker's daemon answers. As root it is started, and stays when this process ends; the pid of one that
 * was started here is returned, otherwise null. Fails with `not-linux`, `tools-missing` and `daemon-unreachable`.
 */
export async function ensureDaemon(): Promise<number | null> {
  if (process.platform !== 'linux') throw new Problem({ reason: 'not-linux', platform: process.platform });
  const packages = missingPackages();
  if (packages.length > 0) throw new Problem({ reason: 'tools-missing', packages });
  const said = await unreachable();
  if (said === null) return null;
  if (process.getuid?.() !== 0 || process.env['DOCKER_HOST'] !== undefined)
    throw new Problem({ reason: 'daemon-unreachable', said });
  return startDaemon();
}

async function startDaemon(): Promise<number> {
  mkdirSync(STATE, { recursive: true, mode: 0o700 });
  const log = join(STATE, 'dockerd.log');
  const file = openSync(log, 'w');
  const child = spawn('/usr/sbin/dockerd', [], { detached: true, stdio: ['ignore', file, file] });
  closeSync(file);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (status) => resolve(`dockerd ended with status ${String(status)}; its log: ${log}`));
  });
  child.unref();
  const deadline = performance.now() + START_MS;
  for (;;) {
    const said = await unreachable();
    if (said === null) return child.pid ?? 0;
    const over = await Promise.race([ended, rest(POLL_MS, null)]);
    if (over !== null) throw new Problem({ reason: 'daemon-unreachable', said: over });
    if (performance.now() > deadline) throw new Problem({ reason: 'daemon-unreachable', said: `${said}\n${log}` });
  }
}

/** What docker says when its daemon does not answer; null when it does. */
async function unreachable(): Promise<string | null> {
  const { status, stderr } = await run(['docker', 'version', '--format', '{{.Server.Version}}']);
  return status === 0 ? null : stderr.trim();
}
