import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inject } from 'vitest';
import { until } from '../device/poll.ts';
import { runToEnd } from './command.ts';

const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url));
/** What stands before `tasks.ts`: `node --import tsx`, found from anywhere. */
export const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
/** One `setup` and `build` over the network may take so long, in ms. */
export const BASE_MS = 300_000;

export const PLATFORM = 'examples/jetson';
/** Installed once and never written to in place, so that copies may share the files. */
const SHARED = [`${PLATFORM}/backend/.venv`, `${PLATFORM}/frontend/node_modules`];

/** The environment of a project's commands: nothing of npm's or of the operator's, but where packages come from. */
export function environment(dir: string): NodeJS.ProcessEnv {
  const passed = Object.entries(process.env).filter(([name]) =>
    /^(.*_proxy|PIP_.*|SSL_CERT_.*|NODE_EXTRA_CA_CERTS|npm_config_registry|npm_config_cafile)$/i.test(name),
  );
  return {
    ...Object.fromEntries(passed),
    PATH: process.env['PATH'],
    HOME: join(dir, 'home'),
    USER: 'tester',
    LANG: 'C.UTF-8',
  };
}

/** A copy of the project with `setup` and `build` done; the first who asks makes it, the others wait. */
export async function base(): Promise<string> {
  const dir = join(inject('platformBase'), 'base');
  const [done, broken] = [`${dir}.done`, `${dir}.broken`];
  const isFirst = mkdirSync(dir, { recursive: true }) !== undefined;
  if (isFirst) {
    try {
      await make(dir);
      writeFileSync(done, '');
    } catch (error) {
      writeFileSync(broken, String(error));
    }
  }
  await until('setup and build of the base', () => existsSync(done) || existsSync(broken), BASE_MS);
  if (existsSync(broken)) throw new Error(readFileSync(broken, 'utf8'));
  return dir;
}

async function make(dir: string): Promise<void> {
  copySources(dir);
  const made = await runToEnd([process.execPath, '--import', TSX, 'tasks.ts', 'setup', 'build'], {
    cwd: dir,
    env: environment(dir),
    timeoutMs: BASE_MS,
  });
  if (made.status !== 0) throw new Error(`setup and build: ${made.stdout}${made.stderr}`);
}

/** What the next commit would hold. */
function copySources(dir: string): void {
  const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: CHECKOUT,
    encoding: 'utf8',
  });
  for (const file of files.split('\0').filter((name) => name !== '' && existsSync(join(CHECKOUT, name)))) {
    mkdirSync(dirname(join(dir, file)), { recursive: true });
    cpSync(join(CHECKOUT, file), join(dir, file), { verbatimSymlinks: true });
  }
  symlinkSync(join(CHECKOUT, 'node_modules'), join(dir, 'node_modules'));
  mkdirSync(join(dir, 'home'));
}

/** A project of a test's own: a copy of the base, in which nothing was deployed yet. */
export async function copyBase(dir: string): Promise<void> {
  const from = await base();
  const shared = SHARED.map((path) => join(from, path));
  const own = (path: string): boolean =>
    !shared.includes(path) && path !== join(from, '.slipway/rehearsal') && path !== join(from, '.slipway/runs');
  cpSync(from, dir, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true, filter: own });
  for (const path of SHARED) linkTree(join(from, path), join(dir, path));
}

function linkTree(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) linkTree(source, target);
    else if (entry.isSymbolicLink()) symlinkSync(readlinkSync(source), target);
    else linkSync(source, target);
  }
}
