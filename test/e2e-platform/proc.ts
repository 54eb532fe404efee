import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

/** The content of a file that may vanish or be forbidden at any moment. */
export function maybe(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** All processes of this machine. */
export const pids = (): readonly number[] =>
  readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));

/** Processes whose environment or command holds a text, with their commands. */
export function processesWith(text: string): readonly string[] {
  return pids().flatMap((pid) => {
    const [command, environment] = [maybe(`/proc/${String(pid)}/cmdline`), maybe(`/proc/${String(pid)}/environ`)];
    // The one that makes the next bundle outlives the run that began it.
    const counts = pid !== process.pid && !command.includes('/launch/build.mjs');
    return counts && (command.includes(text) || environment.includes(text))
      ? [`${String(pid)} ${command.replaceAll('\0', ' ').slice(0, 200)}`]
      : [];
  });
}

/** TCP ports on which some of these processes listen. */
export function listeningPorts(of: readonly number[]): readonly number[] {
  const inodes = new Set(of.flatMap(socketsOf));
  const lines = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((path) => maybe(path).split('\n').slice(1));
  const ports = lines.flatMap((line) => {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
    return state === '0A' && inodes.has(inode) ? [Number.parseInt(local.split(':')[1] ?? '', 16)] : [];
  });
  return [...new Set(ports)].sort((a, b) => a - b);
}

function socketsOf(pid: number): readonly string[] {
  const folder = `/proc/${String(pid)}/fd`;
  try {
    return readdirSync(folder).flatMap((fd) => /^socket:\[(\d+)\]$/.exec(linkOf(`${folder}/${fd}`))?.[1] ?? []);
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
