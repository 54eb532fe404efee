import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Problem } from './problem.ts';
import { must, run } from './run.ts';
import { STATE } from './state.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const FILES = join(HERE, 'board');
const APT = '/etc/apt';
const TREE_BYTES = 1_500 * 1024 * 1024;
const TAIL_LINES = 12;
/** The machine's own apt settings without which its sources may not be reachable. */
const APT_SETTINGS = /^Acquire::(http|https|Check-|Retries)/;

/**
 * The board's image, built unless it is there: its tag names the digest of its recipe. Under a lock, so that whoever
 * comes second waits for the first. Fails with `no-sources` and `image-not-built`.
 */
export async function ensureImage(): Promise<string> {
  const suite = codename();
  const tag = `slipway-testbed:${digest(suite)}`;
  if ((await run(['docker', 'image', 'inspect', tag])).status === 0) return tag;
  const sources = sourcesOf(suite);
  if (sources.length === 0) throw new Problem({ reason: 'no-sources', suite });
  mkdirSync(STATE, { recursive: true, mode: 0o700 });
  const scratch = scratchFolder();
  const archive = join(scratch, `slipway-testbed-${String(process.pid)}.tar`);
  const { status, stdout, stderr } = await run(
    ['flock', join(STATE, 'image.lock'), 'sh', join(HERE, 'build.sh'), tag, archive].concat(
      bootstrap(suite, archive, sources, await aptSettings()),
    ),
    { env: { TMPDIR: scratch } },
  );
  if (status === 0) return tag;
  const log = join(STATE, 'image.log');
  writeFileSync(log, stderr + stdout);
  const tail = stderr.trim().split('\n').slice(-TAIL_LINES).join('\n');
  throw new Problem({ reason: 'image-not-built', log, tail });
}

/** The first 12 digits of the sha256 of all that decides what is in the image, but for the packages' versions. */
function digest(suite: string): string {
  const hash = createHash('sha256').update(`${suite} ${process.arch}\0`);
  const files = ['image.ts', 'build.sh', 'packages'].map((name) => join(HERE, name));
  for (const path of [
    ...files,
    ...readdirSync(FILES)
      .sort()
      .map((name) => join(FILES, name)),
  ])
    hash
      .update(`${path.slice(HERE.length)}\0`)
      .update(readFileSync(path))
      .update('\0');
  return hash.digest('hex').slice(0, 12);
}

function bootstrap(
  suite: string,
  archive: string,
  sources: readonly string[],
  settings: readonly string[],
): readonly string[] {
  const packages = readFileSync(join(HERE, 'packages'), 'utf8').trim().split('\n');
  return [
    'mmdebstrap',
    '--variant=minbase',
    '--format=tar',
    `--include=${packages.join(',')}`,
    ...settings.map((setting) => `--aptopt=${setting}`),
    // As a file rather than by --dpkgopt, which would have every archive filtered in Python while it is unpacked.
    '--setup-hook=mkdir -p "$1/etc/dpkg/dpkg.cfg.d"',
    `--setup-hook=upload "${join(FILES, 'dpkg.cfg')}" /etc/dpkg/dpkg.cfg.d/board`,
    `--customize-hook=copy-in "${FILES}" /etc`,
    '--customize-hook=chroot "$1" sh /etc/board/setup.sh',
    suite,
    archive,
    ...sources,
  ];
}

/** The release that this machine runs, and so the one that its sources have. */
function codename(): string {
  const found = /^VERSION_CODENAME=(\w+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
  return found ?? 'stable';
}

/** The files of this machine's apt sources that name the release. */
function sourcesOf(suite: string): readonly string[] {
  const folder = join(APT, 'sources.list.d');
  const names = existsSync(folder) ? readdirSync(folder).sort() : [];
  return [join(APT, 'sources.list'), ...names.map((name) => join(folder, name))]
    .filter((path) => /\.(list|sources)$/.test(path) && existsSync(path))
    .filter((path) => new RegExp(`^[^#]*\\b${suite}\\b`, 'm').test(readFileSync(path, 'utf8')));
}

async function aptSettings(): Promise<readonly string[]> {
  const settings = (await must(['apt-config', 'dump'])).split('\n').filter((line) => APT_SETTINGS.test(line));
  return ['Acquire::Languages "none";', ...settings];
}

/** Unpacking is mostly small writes: in memory it takes half the time, where there is room, and devices may be made. */
function scratchFolder(): string {
  const memory = '/dev/shm';
  const mounted = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  const options = mounted.map((line) => line.split(' ')).findLast((fields) => fields[1] === memory)?.[3];
  if (options === undefined || /\b(nodev|noexec)\b/.test(options)) return tmpdir();
  const { bavail, bsize } = statfsSync(memory);
  return bavail * bsize > TREE_BYTES ? memory : tmpdir();
}
