import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Problem } from './problem.ts';
import { must, run } from './run.ts';

/** A board's own disk: `inodes` null leaves their number to the file system's maker. */
export interface DiskSize {
  readonly diskMb: number;
  readonly inodes: number | null;
}

/** Where disk devices are set up: docker's daemon's machine, by a container, so that nobody here has to be root. */
const MAKER = [
  'docker run --rm --network none --entrypoint /bin/sh --cap-add SYS_ADMIN',
  '--security-opt seccomp=unconfined --security-opt apparmor=unconfined',
  '--device-cgroup-rule',
]
  .join(' ')
  .split(' ')
  .concat('b 7:* rmw', '--device-cgroup-rule', 'c 10:237 rmw', '--volume', '/dev:/dev');

const MAKE = `truncate -s "$1"M "$2" && mkfs.ext4 -q -m 0 $3 "$2" && losetup --find --show "$2"`;
/** Something else may be at the device since a restart of the machine; of a file that is gone losetup says `(deleted)`. */
const DETACH = `losetup --noheadings --output BACK-FILE "$1" | grep -q "/$2\\( (deleted)\\)*$" && losetup -d "$1" || :`;
const ATTACH = `[ -n "$(losetup --noheadings -j "$1")" ] || losetup "$2" "$1"`;

/**
 * Makes a file system of its own in a file, and a volume that docker mounts whenever the board runs; so it survives
 * the board's reboots, and is full when it is full.
 */
export async function makeDisk(image: string, name: string, folder: string, size: DiskSize): Promise<void> {
  const inodes = size.inodes === null ? '' : `-N ${String(size.inodes)}`;
  rmSync(join(folder, fileOf(name)), { force: true });
  const device = await inMaker(image, folder, MAKE, [String(size.diskMb), `/disk/${fileOf(name)}`, inodes]);
  await must([
    ...'docker volume create --driver local --opt type=ext4 --opt'.split(' '),
    `device=${device}`,
    '--label',
    `slipway.testbed=${folder}`,
    volumeOf(name),
  ]);
}

/** After a restart of the machine the file is at its device again; `disk-device-taken` when something else is there. */
export async function attachDisk(image: string, name: string, folder: string): Promise<void> {
  const device = await deviceOf(name);
  try {
    await inMaker(image, folder, ATTACH, [`/disk/${fileOf(name)}`, device ?? '']);
  } catch {
    throw new Problem({ reason: 'disk-device-taken', name, device: device ?? 'no device' });
  }
}

/** Gives back the device of a board that does not run; nothing if it has none. */
export async function detachDisk(image: string, name: string, folder: string): Promise<void> {
  const device = await deviceOf(name);
  if (device !== null) await inMaker(image, folder, DETACH, [device, fileOf(name)]);
}

/** Removes the device, the volume and the file of a board that has no container. */
export async function removeDisk(image: string, name: string, folder: string): Promise<void> {
  if ((await deviceOf(name)) !== null) {
    await detachDisk(image, name, folder);
    await must(['docker', 'volume', 'rm', volumeOf(name)]);
  }
  rmSync(join(folder, fileOf(name)), { force: true });
}

/** The docker volume of a board's disk. */
export function volumeOf(name: string): string {
  return `${name}-srv`;
}

/** Named for the board: what losetup shows of a file that is gone is its name. */
const fileOf = (name: string): string => `${name}.ext4`;

async function deviceOf(name: string): Promise<string | null> {
  const { status, stdout } = await run(['docker', 'volume', 'inspect', '-f', '{{.Options.device}}', volumeOf(name)]);
  return status === 0 ? stdout.trim() : null;
}

function inMaker(image: string, folder: string, script: string, args: readonly string[]): Promise<string> {
  return must([...MAKER, '--volume', `${folder}:/disk`, image, '-euc', script, 'sh', ...args]);
}
