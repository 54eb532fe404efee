import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Patience } from '../../lib/ops/release.ts';
import { until } from '../device/poll.ts';
import { follow, type Ended, type Running } from './command.ts';
import { journalOf, runsIn, type JournalLine } from './kept-runs.ts';

const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url));
/** What stands before a `tasks.ts`: `node --import tsx`, found from anywhere. */
export const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
/** Judged once instead of three times in a row: what a test of something else can wait for. */
export const QUICK: Partial<Patience> = { healthyTimes: 1, healthyTimeoutMs: 2_000 };

export interface CommandOptions {
  readonly env?: { readonly [name: string]: string };
  /** Modules that are loaded before `tasks.ts`, as URLs. */
  readonly preload?: readonly string[];
  /** In a process group of its own. */
  readonly detached?: boolean;
}

export interface ProjectOptions {
  /** Where the releases go; the rehearsal device unless a test has one of its own. */
  readonly root?: string;
  readonly patience?: Partial<Patience>;
  /** Instead of the example's own. */
  readonly tasks?: string;
  /** Run as npm and make run it, from a bundle once there is one: for many commands of which nothing is preloaded. */
  readonly launched?: boolean;
}

/** A checkout of `examples/hello` of a test's own, run by real processes. */
export class Project {
  readonly dir = realpathSync(mkdtempSync(join(tmpdir(), 'slipway-e2e-')));
  readonly root: string;
  readonly #launched: boolean;
  readonly #running = new Set<Running>();

  constructor({ root, patience = QUICK, tasks, launched = false }: ProjectOptions = {}) {
    this.#launched = launched;
    this.root = root ?? join(this.dir, '.slipway/rehearsal/rehearsal');
    const example = (name: string): string => readFileSync(join(CHECKOUT, 'examples/hello', name), 'utf8');
    this.write('server.py', example('server.py'));
    this.write('tasks.ts', tasks ?? patient(example('tasks.ts'), patience));
    this.write(
      'package.json',
      JSON.stringify({ type: 'module', scripts: { task: `exec ${process.execPath} --import ${TSX} tasks.ts` } }),
    );
    const compilerOptions = {
      target: 'ES2023',
      module: 'NodeNext',
      paths: { slipway: [join(CHECKOUT, 'lib/index.ts')] },
    };
    this.write('tsconfig.json', JSON.stringify({ compilerOptions }));
    mkdirSync(this.path('home'));
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  write(name: string, content: string): void {
    writeFileSync(this.path(name), content);
  }

  read(name: string): string {
    return readFileSync(this.path(name), 'utf8');
  }

  /** Replaces a part that must be there. */
  replace(name: string, part: string, by: string): void {
    const before = this.read(name);
    if (!before.includes(part)) throw new Error(`${name} holds no ${part}`);
    this.write(
      name,
      before.replace(part, () => by),
    );
  }

  /** Makes the next release another one that works as well. */
  edit(): void {
    this.write(
      'server.py',
      `${this.read('server.py').replace(/# edit .*\n$/, '')}# edit ${randomBytes(6).toString('hex')}\n`,
    );
  }

  /** The environment of the project's commands: nothing of npm's or of the operator's. */
  env(more: { readonly [name: string]: string } = {}): { readonly [name: string]: string } {
    return { PATH: process.env['PATH'] ?? '', HOME: this.path('home'), USER: 'tester', LANG: 'C.UTF-8', ...more };
  }

  /** The same command line for a shell. */
  commandLine(args: readonly string[]): string {
    return [process.execPath, '--import', TSX, 'tasks.ts', ...args].map((word) => `'${word}'`).join(' ');
  }

  /** Starts `node --import tsx tasks.ts …`, or launches it. */
  start(args: readonly string[], options: CommandOptions = {}): Running {
    if (this.#launched && !options.preload)
      return this.spawn([process.execPath, join(CHECKOUT, 'scripts/launch.cjs'), 'tasks.ts', ...args], options);
    const preload = (options.preload ?? []).flatMap((url) => ['--import', url]);
    return this.spawn([process.execPath, '--import', TSX, ...preload, 'tasks.ts', ...args], options);
  }

  /** Starts any command in the project. */
  spawn([command = '', ...args]: readonly string[], { env = {}, detached = false }: CommandOptions = {}): Running {
    const child = spawn(command, args, {
      cwd: this.dir,
      env: this.env(env),
      detached,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const running = follow(child, args.join(' '));
    this.#running.add(running);
    const forget = (): void => void this.#running.delete(running);
    running.ended.then(forget, forget);
    return running;
  }

  /** Runs `node --import tsx tasks.ts …` to its end. */
  run(args: readonly string[], options: CommandOptions = {}): Promise<Ended> {
    return this.start(args, options).ended;
  }

  /** The release that `current` points at; null when there is none. */
  current(): string | null {
    const link = join(this.root, 'current');
    return existsSync(link) ? basename(readlinkSync(link)) : null;
  }

  /** States of the releases that the device has a record of. */
  states(): { readonly [id: string]: string } {
    const folder = join(this.root, 'state/releases');
    if (!existsSync(folder)) return {};
    const records = readdirSync(folder).filter((name) => name.endsWith('.json'));
    return Object.fromEntries(
      records.map((name) => [
        name.slice(0, -5),
        (JSON.parse(readFileSync(join(folder, name), 'utf8')) as { state: string }).state,
      ]),
    );
  }

  /** The id of the release that was packed last: the digest of its manifest. */
  packed(): string {
    return createHash('sha256').update(this.read('.slipway/build/manifest.json')).digest('hex').slice(0, 16);
  }

  /** The last thing that the latest journal tells. */
  lastLine(): string {
    const { type, id } = this.journal().at(-1) ?? { type: 'nothing' };
    return `${type} ${id ?? ''}`;
  }

  url(): string {
    const ports = JSON.parse(readFileSync(join(this.root, 'state/ports.json'), 'utf8')) as { web: number };
    return `http://127.0.0.1:${String(ports.web)}/`;
  }

  /** Which release answers at the public address; null when nothing does. */
  async answering(): Promise<string | null> {
    const answer = await fetch(this.url(), { signal: AbortSignal.timeout(5_000) }).catch(() => null);
    return answer === null ? null : ((await answer.json()) as { release: string }).release;
  }

  /** Ids of the kept runs, the first one first. */
  runs(): readonly string[] {
    return runsIn(this.dir);
  }

  /** The journal of the latest run. */
  journal(): readonly JournalLine[] {
    return journalOf(this.dir, this.runs().at(-1) ?? '');
  }

  /** The releases of the services that run on the device. */
  serving(): readonly string[] {
    return this.#services().map(
      (pid) => /(?:^|\0)RELEASE_ID=([^\0]*)/.exec(readMaybe(`/proc/${String(pid)}/environ`))?.[1] ?? '',
    );
  }

  /** Processes of the project itself and of commands on its device: everything but services. */
  processes(): readonly string[] {
    const services = this.#services();
    return pids().flatMap((pid) => {
      const [command, environment] = [
        readMaybe(`/proc/${String(pid)}/cmdline`),
        readMaybe(`/proc/${String(pid)}/environ`),
      ];
      const ours = environment.includes(this.dir) || command.includes(this.dir);
      return ours && !services.includes(pid) ? [`${String(pid)} ${command.replaceAll('\0', ' ').slice(0, 200)}`] : [];
    });
  }

  #services(): readonly number[] {
    const mark = `SLIPWAY_SERVICE=${createHash('sha256').update(this.root).digest('hex').slice(0, 16)}/`;
    return pids().filter((pid) => readMaybe(`/proc/${String(pid)}/environ`).includes(mark));
  }

  /** Ends what runs, proves that nothing is left, and removes the project. */
  async stop(): Promise<void> {
    for (const { child } of this.#running) child.kill('SIGKILL');
    await Promise.allSettled([...this.#running].map(({ ended }) => ended));
    rmSync(this.path('.env'), { recursive: true, force: true });
    // What a board runs no verb of ours ends.
    for (const pid of this.#services()) endIfThere(pid);
    const stopped = await this.run(['rehearsal', 'stop']);
    if (stopped.status !== 0) throw new Error(`rehearsal stop: ${JSON.stringify(stopped)}`);
    await this.nothingIsLeft();
    rmSync(this.dir, { recursive: true, force: true });
  }

  async nothingIsLeft(): Promise<void> {
    await until(
      `${this.dir} runs nothing: ${[...this.processes(), ...this.serving()].join('\n')}`,
      () => this.processes().length === 0 && this.serving().length === 0,
    );
    if (existsSync(join(this.root, 'state/ports.json')) && (await this.answering()) !== null)
      throw new Error('somebody still answers');
  }
}

/** Runs a test in a project of its own. */
export async function inProject(options: ProjectOptions, body: (project: Project) => Promise<void>): Promise<void> {
  const project = new Project(options);
  try {
    await body(project);
  } finally {
    await project.stop();
  }
}

const pids = (): number[] => readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));

function patient(tasks: string, patience: Partial<Patience>): string {
  const told = `patience: { ...PATIENCE, ...${JSON.stringify(patience)} } });`;
  return tasks
    .replace('import { ', 'import { PATIENCE, ')
    .replace('release: needs.build.release });', () => `release: needs.build.release, ${told}`)
    .replace('release: params.release })', () => `release: params.release, ${told.replace(/;$/, '')}`);
}

function readMaybe(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** It may have ended by itself meanwhile. */
function endIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
