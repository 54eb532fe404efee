import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { basename, join } from 'node:path';
import { HEAD_BYTES, machineOf, processor, type Machine } from './binary.ts';
import { folderInside } from './inside.ts';
import { binariesInWheel, machinesOfTag } from './wheel.ts';

/** What `release.binaries` is asked for: a packed tree, and the machine: `uname -m`, and pip's platform tags. */
export interface BinariesArgs {
  readonly tree: string;
  readonly architecture: string;
  readonly platforms: readonly string[];
  /** Beginnings of paths below which programs for other machines are data. */
  readonly foreign?: readonly string[];
}

export interface Binaries {
  readonly architectures: readonly string[];
  readonly fits: boolean;
  /** The programs that do not fit, in words; `''` when all do. */
  readonly why: string;
}

/** Programs that a refusal names; of more it says how many. */
const MAX_NAMED = 5;

/** A file, what it is for, and whether the device runs it. */
interface Program {
  readonly path: string;
  readonly machines: readonly Machine[];
  readonly fits: boolean;
}

/** Reads the first bytes of every file of a packed tree, and of every shared object in its wheels. */
export function binaries(args: BinariesArgs, projectDir: string): Binaries {
  const folder = folderInside(projectDir, args.tree);
  const { entries, wheels } = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as Manifest;
  const runs = runnable(args);
  const foreign = args.foreign ?? [];
  const looked = entries
    .filter(({ kind, path }) => kind === 'file' && !foreign.some((beginning) => path.startsWith(beginning)))
    .flatMap(({ path, size }) => programs(join(folder, 'tree', path), path, size ?? 0, wheels.includes(path), runs));
  const strays = looked.filter(({ fits }) => !fits);
  return {
    architectures: [
      ...new Set(looked.flatMap(({ machines }) => machines.map(({ architecture }) => architecture))),
    ].sort(),
    fits: strays.length === 0,
    why: words(strays),
  };
}

interface Manifest {
  readonly entries: readonly { readonly kind: string; readonly path: string; readonly size?: number }[];
  readonly wheels: readonly string[];
}

/** The kernel's processor, and that of the interpreter, which may be the narrower one of the same board. */
function runnable({ architecture, platforms }: BinariesArgs): (machine: Machine) => boolean {
  const tagged = platforms.flatMap((platform) => machinesOfTag(`-${platform}`) ?? []);
  const system = tagged[0]?.system ?? 'Linux';
  const known = new Set([processor(architecture), ...tagged.map((machine) => machine.architecture)]);
  return (machine) => machine.system === system && known.has(processor(machine.architecture));
}

function programs(
  file: string,
  path: string,
  sizeBytes: number,
  isWheel: boolean,
  runs: (machine: Machine) => boolean,
): readonly Program[] {
  if (isWheel) return wheelPrograms(file, path, runs);
  const machine = sizeBytes < HEAD_BYTES ? null : machineOf(readHead(file));
  return machine === null ? [] : [{ path, machines: [machine], fits: runs(machine) }];
}

/** A wheel for another machine is named once; one that says it fits is not believed, but looked into. */
function wheelPrograms(file: string, path: string, runs: (machine: Machine) => boolean): readonly Program[] {
  const tagged = machinesOfTag(basename(path));
  if (tagged !== null && !tagged.some(runs)) return [{ path, machines: tagged, fits: false }];
  return binariesInWheel(file).map(({ name, machine }) => ({
    path: `${path}: ${name}`,
    machines: [machine],
    fits: runs(machine),
  }));
}

function readHead(file: string): Buffer {
  const fd = openSync(file, 'r');
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    return head.subarray(0, readSync(fd, head, 0, HEAD_BYTES, 0));
  } finally {
    closeSync(fd);
  }
}

function words(strays: readonly Program[]): string {
  const named = strays.slice(0, MAX_NAMED).map(({ path, machines }) => `${path} is for ${machineWords(machines)}`);
  const more = strays.length - named.length;
  return [...named, ...(more > 0 ? [`and ${String(more)} more`] : [])].join(', ');
}

const machineWords = (machines: readonly Machine[]): string =>
  machines.length === 0
    ? 'an unknown platform'
    : [
        ...new Set(
          machines.map((one) => (one.system === 'Linux' ? one.architecture : `${one.system} ${one.architecture}`)),
        ),
      ].join(' and ');
