/** The task runners that people have, each with the same graph in its own words; installed once per machine. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const PACKAGES = ['turbo@2', 'wireit@0.14', 'nx@24', '@moonrepo/cli@2', 'vite-plus'];

/** One task of a graph; without inputs it is never fresh. The task `all` needs every part. */
export interface Part {
  readonly command: string;
  readonly inputs?: readonly string[];
  readonly outputs?: readonly string[];
}

export type Tool = 'slipway' | 'turbo' | 'vp run' | 'wireit' | 'nx' | 'moon' | 'make' | 'ninja';

/** The folder in which npm's peers are; installs them the first time, without their scripts. */
function peers(): string {
  const folder = join(tmpdir(), `slipway-peers-${String(process.getuid?.())}`);
  if (existsSync(folder)) return join(folder, 'node_modules');
  const fresh = mkdtempSync(`${folder}-new-`);
  execFileSync('npm', ['install', '--prefix', fresh, '--ignore-scripts', '--no-audit', '--no-fund', ...PACKAGES], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  renameSync(fresh, folder);
  return join(folder, 'node_modules');
}

/** A project whose graph every tool knows. */
export class Rivals {
  readonly path = realpathSync(mkdtempSync(join(tmpdir(), 'slipway-rivals-')));
  readonly #jobs: number;

  constructor(parts: readonly Part[], jobs = 2) {
    this.#jobs = jobs;
    symlinkSync(peers(), join(this.path, 'node_modules'));
    for (const [name, content] of Object.entries(filesOf(parts))) {
      mkdirSync(join(this.path, name, '..'), { recursive: true });
      writeFileSync(join(this.path, name), typeof content === 'string' ? content : JSON.stringify(content));
    }
    for (const folder of ['in', 'out']) mkdirSync(join(this.path, folder), { recursive: true });
  }

  /** To be called once the inputs are there: turbo, nx and moon ask git for files. */
  commit(): void {
    const git = (...args: string[]): Buffer => execFileSync('git', args, { cwd: this.path });
    git('init', '-q');
    git('add', '-A');
    git('-c', 'user.name=bench', '-c', 'user.email=bench@localhost', 'commit', '-q', '-m', 'all of it');
  }

  /** Runs the graph with one tool; the time that it took in ms, and its largest process in MB. */
  time(tool: Tool, node = process.execPath): { readonly ms: number; readonly mb: number } {
    const [command = '', ...args] = this.#argv(tool, node);
    const startMs = performance.now();
    const { status, stdout, stderr } = spawnSync('/usr/bin/env', ['python3', '-c', MEASURED, command, ...args], {
      cwd: this.path,
      encoding: 'utf8',
      env: {
        ...process.env,
        ...QUIET,
        WIREIT_PARALLEL: String(this.#jobs),
        npm_lifecycle_event: undefined,
        CI: undefined,
      },
    });
    const [ms = NaN, mb = NaN] = (stderr.trim().split('\n').at(-1) ?? '').split(' ').map(Number);
    if (status !== 0 || Number.isNaN(ms + mb))
      throw new Error(
        `${tool}: status ${String(status)} after ${String(performance.now() - startMs)} ms\n${stdout}${stderr}`,
      );
    return { ms, mb };
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  #argv(tool: Tool, node: string): readonly string[] {
    const bin = (name: string): string => join(this.path, 'node_modules', name);
    const platform = `${process.platform}-${process.arch}`;
    const jobs = String(this.#jobs);
    switch (tool) {
      case 'slipway':
        return [node, join(ROOT, 'scripts/launch.cjs'), 'tasks.ts', 'all', `-j${jobs}`];
      case 'turbo':
        return [
          bin(`@turbo/${platform.replace('x64', '64')}/bin/turbo`),
          'run',
          'all-turbo',
          '--no-daemon',
          `--concurrency=${jobs}`,
        ];
      case 'vp run':
        return [bin('.bin/vp'), 'run', 'all-vp'];
      case 'wireit':
        return ['npm', 'run', '--silent', 'all'];
      case 'nx':
        return [bin('.bin/nx'), 'run', 'peer:all', `--parallel=${jobs}`];
      case 'moon':
        return [bin(`@moonrepo/core-${platform}-gnu/moon`), 'run', 'peer:all'];
      case 'make':
        return ['make', '-s', `-j${jobs}`, 'all'];
      case 'ninja':
        return ['ninja', '--quiet', `-j${jobs}`, 'all'];
    }
  }
}

const QUIET = { TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1', NX_DAEMON: 'false', NO_COLOR: '1' };

/** Small and already warm when the clock starts: what is measured is the command, not the size of this process. */
const MEASURED = `
import os, resource, subprocess, sys, time
start = time.perf_counter()
status = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode
ms = (time.perf_counter() - start) * 1000
print(ms, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, file=sys.stderr)
sys.exit(status)`;

type Files = { readonly [name: string]: unknown };

function filesOf(parts: readonly Part[]): Files {
  const ids = parts.map((_, at) => `t${String(at)}`);
  const each = (of: (part: Part) => unknown, prefix = ''): Files =>
    Object.fromEntries(parts.map((part, at) => [`${prefix}t${String(at)}`, of(part)]));
  const wireit = each(({ command, inputs, outputs }) => ({ command, files: inputs, output: outputs }));
  const scripts = { ...Object.fromEntries([...ids, 'all'].map((id) => [id, 'wireit'])), 'all-turbo': 'true' };
  const packageJson = {
    ...{ name: 'peer', private: true, version: '1.0.0', type: 'module', packageManager: 'npm@10.0.0' },
    scripts: { ...scripts, ...each(({ command }) => command, 'turbo-') },
    wireit: { ...wireit, all: { dependencies: ids } },
  };
  return {
    'package.json': packageJson,
    'package-lock.json': { name: 'peer', lockfileVersion: 3, requires: true, packages: {} },
    '.gitignore': 'node_modules\nout\n.turbo\n.nx\n.wireit\n.moon/cache\n.slipway\n',
    'turbo.json': {
      tasks: {
        ...each((part) => ({ inputs: part.inputs, outputs: part.outputs, cache: part.inputs !== undefined }), 'turbo-'),
        'all-turbo': { dependsOn: ids.map((id) => `turbo-${id}`), inputs: ['package.json'] },
      },
    },
    'vite.config.ts': viteConfig(parts),
    'nx.json': { analytics: false },
    'project.json': nxProject(parts, ids),
    '.moon/workspace.yml': "projects:\n  peer: '.'\ntelemetry: false\n",
    'moon.yml': JSON.stringify({
      tasks: {
        ...each(({ command, inputs, outputs }) => ({ command, inputs: inputs ?? [], outputs: outputs ?? [] })),
        all: { command: 'true', inputs: ['package.json'], deps: ids.map((id) => `~:${id}`) },
      },
    }),
    ...makefiles(parts, ids),
    'tsconfig.json': { compilerOptions: { module: 'NodeNext', paths: { slipway: [join(ROOT, 'lib/index.ts')] } } },
    'tasks.ts': slipwayTasks(parts),
  };
}

function nxProject(parts: readonly Part[], ids: readonly string[]): Files {
  const inRoot = (globs: readonly string[] = []): readonly string[] => globs.map((glob) => `{projectRoot}/${glob}`);
  const targets = parts.map(({ command, inputs, outputs }, at) => [
    `t${String(at)}`,
    {
      ...{ executor: 'nx:run-commands', options: { command } },
      ...{ cache: inputs !== undefined, inputs: inRoot(inputs), outputs: inRoot(outputs) },
    },
  ]);
  const all = { executor: 'nx:noop', dependsOn: ids };
  return { name: 'peer', targets: { ...Object.fromEntries(targets), all } };
}

const viteConfig = (parts: readonly Part[]): string => `import { defineConfig } from 'vite-plus';
const parts = ${JSON.stringify(parts)};
const tasks = parts.map(({ command, inputs }, at) => ['v' + at, inputs ? { command, input: inputs } : { command, cache: false }]);
const all = { command: 'true', dependsOn: tasks.map(([id]) => id) };
export default defineConfig({ run: { tasks: { ...Object.fromEntries(tasks), 'all-vp': all } } });
`;

/** Make and ninja know files, no globs: a part's plain inputs, and its first output. */
function makefiles(parts: readonly Part[], ids: readonly string[]): Files {
  const targets = parts.map(({ outputs = [] }, at) => outputs[0] ?? ids[at] ?? '');
  const rules = parts.map(({ command, inputs = [] }, at) => ({
    target: targets[at] ?? '',
    command,
    inputs: inputs.join(' '),
  }));
  return {
    Makefile: `all: ${targets.join(' ')}\n${rules.map(({ target, inputs, command }) => `${target}: ${inputs}\n\t${command}\n`).join('')}`,
    'build.ninja': `rule run\n  command = $cmd\n${rules.map(({ target, inputs, command }) => `build ${target}: run ${inputs}\n  cmd = ${command}\n`).join('')}build all: phony ${targets.join(' ')}\n`,
  };
}

const slipwayTasks = (parts: readonly Part[]): string => `import { main, task } from 'slipway';
const parts = ${JSON.stringify(parts)}.map(({ command, ...files }, at) =>
  task(\`t\${at}\`, { summary: 'A part.', ...files, steps: (p) => { p.run(command.split(' '), { effect: files.outputs ? 'derives' : 'reads' }); } }));
const all = task('all', { summary: 'All of them.', needs: Object.fromEntries(parts.map((part) => [part.taskName, part()])) });
await main(import.meta, { tasks: [...parts, all] });
`;
