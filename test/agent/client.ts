import { execFileSync, spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { deflateSync, inflateSync } from 'node:zlib';
import { expect, onTestFinished } from 'vitest';
import { loadAgent } from '../../lib/device/agent.ts';
import type { PreflightFacts } from '../../lib/ops/checks.ts';

const device = new URL('../../scripts/device/', import.meta.url);
const loaded = loadAgent(device);
export const SOURCE = inflateSync(loaded.agent);
export const BOOTSTRAP = loaded.bootstrap;
const found = execFileSync(process.env['AGENT_PYTHON'] ?? 'python3', ['-c', 'import sys; print(sys.executable)']);
/** The interpreter itself: a version manager's shim in front of it would be what `kill` hits. */
export const PYTHON = found.toString().trim();

const LIMIT_MS = 20_000;

export interface Failure {
  readonly reason: string;
  readonly code?: string;
  readonly detail?: string;
  readonly holder?: string;
}

export interface Answer {
  readonly ok: boolean;
  readonly value?: unknown;
  readonly failure?: Failure;
}

export interface Hello {
  readonly python?: string;
  readonly root?: string;
  readonly failure?: Failure;
}

export interface ServiceState {
  readonly name: string;
  readonly state: 'running' | 'stopped' | 'failed';
  readonly release: string | null;
  readonly pid: number | null;
  readonly port: number | null;
  readonly public: boolean;
}

export interface Status {
  readonly current: string | null;
  readonly state: string | null;
  readonly base: string | null;
  readonly previous: string | null;
  readonly intact: boolean;
  readonly running: readonly string[];
  readonly releases: readonly { readonly id: string; readonly state: string; readonly at: string }[];
  readonly services: readonly ServiceState[];
  readonly lock: { readonly holder: string } | null;
}

export interface Verdict {
  readonly accepts: boolean;
  readonly detail: string;
  readonly help: string;
}

/** What operations yield; those that are not here yield null. */
interface Values {
  readonly 'device.facts': {
    readonly architecture: string;
    readonly system: string;
    readonly python: string;
    readonly wheelPlatforms: readonly string[];
  };
  readonly 'device.room': {
    readonly memoryMb: number;
    readonly enough: boolean;
    readonly short: string;
    readonly problems: readonly { readonly what: string; readonly says: string }[];
  };
  readonly 'device.clock': { readonly nowMs: number };
  readonly 'device.preflight': PreflightFacts;
  readonly 'device.vitals': {
    readonly memory: { readonly totalMb: number; readonly availableMb: number };
    readonly disk: { readonly totalBytes: number; readonly freeBytes: number };
    readonly services: readonly { readonly name: string; readonly memoryMb: number | null }[];
  };
  readonly 'device.journal': {
    readonly lines: number;
    readonly older: number;
    readonly damaged: number;
    readonly cutShort: boolean;
  };
  readonly 'service.names': { readonly names: readonly string[] };
  readonly 'shell.begin': { readonly cwd: string; readonly env: { readonly [name: string]: string } };
  readonly read: { readonly content: string } | null;
  readonly run: { readonly stdout: string };
  readonly 'upload.begin': {
    readonly path: string | null;
    readonly missing: readonly number[];
    readonly codecs: readonly string[];
  };
  readonly 'upload.stage': { readonly path: string };
  readonly 'stop-all': { readonly stopped: readonly string[] };
  readonly 'release.safe-to-stop': { readonly safe: boolean; readonly open: readonly string[] };
  readonly 'release.health': { readonly healthy: boolean; readonly detail: string };
  readonly 'release.status': Status;
  readonly 'release.known': {
    readonly present: boolean;
    readonly confirmed: boolean;
    readonly services: readonly string[];
  };
  readonly 'release.accepts': Verdict;
  readonly 'release.collect': { readonly removed: readonly string[] };
  readonly 'release.gate': { readonly detail: string };
  readonly 'units.diff': { readonly diff: string };
  readonly 'secrets.same': { readonly same: boolean };
  readonly 'data.copy': { readonly copy: string | null; readonly bytes: number };
}
type ValueOf<Op extends string> = Op extends keyof Values ? Values[Op] : null;

/** A line of the agent. */
type Line =
  | { readonly hello: Hello }
  | { readonly id: number; readonly output: string; readonly text: string }
  | { readonly id: number; readonly received: number; readonly ms: number }
  | { readonly id: number; readonly enough: true }
  | (Answer & { readonly id: number });

/** Matchers, typed as what they stand for is not known. */
export const aText: unknown = expect.any(String);
export const textWith = (part: string): unknown => expect.stringContaining(part);
export const textLike = (pattern: RegExp): unknown => expect.stringMatching(pattern);
export const listWith = (...elements: unknown[]): unknown => expect.arrayContaining(elements);

/** An element that must be there. */
export function nth<T>(list: readonly T[], index: number): T {
  const element = list.at(index);
  if (element === undefined) throw new Error(`there is no element ${String(index)}`);
  return element;
}

/** What must be there. */
export function given<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) throw new Error('it is not there');
  return value;
}

export interface Header {
  readonly run?: string;
  readonly publicPort?: number | null;
  readonly rehearsal?: boolean;
  readonly supervisor?: 'plain' | 'systemd';
  readonly login?: string;
  readonly sha256?: string;
  /** Python that runs before the agent's own source. */
  readonly before?: string;
  /** Changes the agent's own source, where a test stands in for what the machine has: a folder of sensors, say. */
  readonly edit?: (source: string) => string;
  readonly client?: string;
}

/** One frame: its codec, its bytes on the wire, and how many it says to be unpacked. */
export interface Frame {
  readonly codec: 0 | 1 | 2;
  readonly wire: Buffer;
  readonly size: number;
}

/** A body as the protocol has it: plain frames of at most 300 KB, or those that are given, and the last one. */
export function framed(body: Buffer | readonly Frame[]): Buffer {
  const cut = (bytes: Buffer): Frame[] =>
    Array.from({ length: Math.ceil(bytes.length / 300_000) }, (_, at) => {
      const wire = bytes.subarray(at * 300_000, (at + 1) * 300_000);
      return { codec: 0, wire, size: wire.length };
    });
  const frames = Buffer.isBuffer(body) ? cut(body) : body;
  const one = ({ codec, wire, size }: Frame): Buffer => {
    const header = Buffer.alloc(9);
    header.writeUInt8(codec, 0);
    header.writeUInt32BE(wire.length, 1);
    header.writeUInt32BE(size, 5);
    return Buffer.concat([header, wire]);
  };
  return Buffer.concat([...frames.map(one), Buffer.alloc(9)]);
}

/** One session with an agent that runs as a local process, or behind the command that reaches another machine. */
export class Agent {
  readonly child: ChildProcessWithoutNullStreams;
  readonly hello: Promise<Hello>;
  readonly exited: Promise<number | null>;
  output = '';
  stderr = '';
  /** What it said of bodies while they came. */
  readonly told: object[] = [];
  #nextId = 1;
  #finished = false;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #greet: (hello: Hello) => void = () => undefined;

  constructor(
    root: string,
    { before = '', edit = (source) => source, ...header }: Header = {},
    command: readonly string[] = [PYTHON, '-c', BOOTSTRAP],
    env: NodeJS.ProcessEnv = process.env,
  ) {
    const [program = '', ...args] = command;
    this.child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env });
    this.hello = new Promise((resolve) => (this.#greet = resolve));
    this.exited = new Promise((resolve) => this.child.once('close', (code) => resolve(this.#end(code))));
    this.child.stdin.on('error', () => undefined);
    this.child.stderr.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    createInterface({ input: this.child.stdout }).on('line', (line) => this.#hear(JSON.parse(line) as Line));
    const source = deflateSync(Buffer.from(before + edit(SOURCE.toString())));
    const sha256 = createHash('sha256').update(source).digest('hex');
    const first = { agent: source.length, sha256, root, run: 'run-1', publicPort: null, rehearsal: false, ...header };
    this.child.stdin.write(`${JSON.stringify(first)}\n`);
    this.child.stdin.write(source);
  }

  /** Sends an operation, a body in frames of its own unless they are given; its whole answer. */
  ask(
    op: string,
    args: object = {},
    body?: Buffer | readonly Frame[],
    change?: object,
  ): Promise<Answer> & { id: number } {
    const id = this.#nextId++;
    const answer = new Promise<Answer>((resolve) => {
      if (this.#finished) resolve({ ok: false, failure: { reason: 'connection-lost' } });
      else this.#waiting.set(id, resolve);
    });
    this.child.stdin.write(`${JSON.stringify({ id, op, args, change, frames: body !== undefined })}\n`);
    if (body) this.child.stdin.write(framed(body));
    return Object.assign(answer, { id });
  }

  /** Sends an operation that must succeed; its value. */
  async ok<Op extends string>(op: Op, args: object = {}, body?: Buffer | readonly Frame[]): Promise<ValueOf<Op>> {
    const answer = await this.ask(op, args, body);
    if (!answer.ok) throw new Error(`${op}: ${JSON.stringify(answer.failure)} ${this.stderr}`);
    return answer.value as ValueOf<Op>;
  }

  /** Sends an operation that must fail; its failure. */
  async fails(op: string, args: object = {}, body?: Buffer | readonly Frame[]): Promise<Failure> {
    const answer = await this.ask(op, args, body);
    if (answer.ok) throw new Error(`${op} did not fail: ${JSON.stringify(answer.value)}`);
    return given(answer.failure);
  }

  /** Makes a change under an armed switch; `undo` puts it back. */
  async changing(op: string, args: object, undo: readonly object[], undone = 'always'): Promise<Answer> {
    return this.ask(op, args, undefined, { id: `${op} ${JSON.stringify(args)}`, undone, undo });
  }

  cancel(id: number): void {
    this.child.stdin.write(`${JSON.stringify({ cancel: id })}\n`);
  }

  /** Ends the session as a client does. */
  async close(): Promise<number | null> {
    this.child.stdin.end();
    return this.exited;
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }

  #hear(message: Line): void {
    if ('hello' in message) return this.#greet(message.hello);
    if ('output' in message) return void (this.output += message.text);
    if ('received' in message || 'enough' in message) return void this.told.push(message);
    this.#waiting.get(message.id)?.(message);
    this.#waiting.delete(message.id);
  }

  #end(code: number | null): number | null {
    this.#finished = true;
    this.#greet({ failure: { reason: 'connection-lost', detail: `${String(code)} ${this.stderr}` } });
    for (const resolve of this.#waiting.values()) resolve({ ok: false, failure: { reason: 'connection-lost' } });
    return code;
  }
}

export interface ServiceRecord {
  readonly pid: number;
  readonly port: number;
}

export interface ReleaseRecord {
  readonly state: string;
  readonly order?: number | null;
  readonly withdrawn?: string | null;
}

/** A root below a temporary folder; at the test's end everything that runs of it is stopped and it is removed. */
export class Device {
  readonly root = join(realpathSync(mkdtempSync(join(tmpdir(), 'slipway-agent-'))), 'root');
  readonly #agents: Agent[] = [];

  constructor() {
    onTestFinished(() => this.#clear());
  }

  /** Begins a session. */
  session(header: Header = {}): Agent {
    const agent = new Agent(this.root, header);
    this.#agents.push(agent);
    return agent;
  }

  at(...parts: string[]): string {
    return join(this.root, ...parts);
  }

  read(...parts: string[]): string {
    return readFileSync(this.at(...parts), 'utf8');
  }

  json<T = unknown>(...parts: string[]): T {
    return JSON.parse(this.read(...parts)) as T;
  }

  /** A service's record. */
  service(name: string): ServiceRecord {
    return this.json('run', `${name}.json`);
  }

  /** A release's record. */
  record(release: string): ReleaseRecord {
    return this.json('state/releases', `${release}.json`);
  }

  async #clear(): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent.close()));
    const last = new Agent(this.root, { run: 'clear' });
    await last.ask('stop-all');
    await last.close();
    rmSync(join(this.root, '..'), { recursive: true, force: true });
  }
}

/** Waits until something holds; never longer than the limit. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, limitMs = LIMIT_MS): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Whether a process runs; one that waits to be reaped does not. */
export function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/\) [ZX] /.test(readFileSync(`/proc/${String(pid)}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
