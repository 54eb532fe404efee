import { randomUUID } from 'node:crypto';
import { spawn } from 'node:child_process';
import { quote } from './agent.ts';
import type { Environment } from './target.ts';

/** How long commands that are asked for together may take, in ms: all only read files. */
const COMMANDS_TIMEOUT_MS = 10_000;
const MAX_OUTPUT_CHARS = 4 * 1024 * 1024;
/** The shell's status for a command that it did not find. */
const NOT_FOUND = 127;

/** What a local command printed, `missing` when it is not on PATH. */
export type CommandResult =
  | { readonly missing: true }
  | { readonly missing: false; readonly exitCode: number; readonly stdout: string; readonly stderr: string };

interface Asked {
  readonly argv: readonly string[];
  readonly environment: Environment;
  readonly answer: (result: CommandResult) => void;
}

let together: Asked[] = [];

/**
 * Runs a read-only command of OpenSSH and takes its output; `exitCode` is -1 when it did not come to its end. What is
 * asked for in one turn runs in one shell, one after the other: a process costs Node several ms to start, a shell less
 * than one.
 */
export function runCommand(argv: readonly [string, ...string[]], environment: Environment): Promise<CommandResult> {
  return new Promise((answer) => {
    if (together.length === 0) queueMicrotask(runTogether);
    together.push({ argv, environment, answer });
  });
}

function runTogether(): void {
  const all = together;
  together = [];
  for (const environment of new Set(all.map((one) => one.environment)))
    runInOneShell(
      all.filter((one) => one.environment === environment),
      environment,
    );
}

/** After each command's output comes a mark that no output can hold, and its status. */
function runInOneShell(asked: readonly Asked[], environment: Environment): void {
  const mark = randomUUID();
  const script = asked.map(({ argv }) => {
    const command = argv.map(quote).join(' ');
    return `${command} </dev/null; printf '${mark} %s\\n' "$?"; printf '${mark}\\n' >&2`;
  });
  // In a group of its own, which can be ended whole.
  const child = spawn('/bin/sh', ['-c', script.join('\n')], { env: { ...environment }, detached: true });
  const end = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It is over already.
    }
  };
  const timer = setTimeout(end, COMMANDS_TIMEOUT_MS);
  const waiting = [...asked];
  const streams = [new Marked(mark), new Marked(mark)] as const;
  const hear = (stream: Marked) => (text: string) => {
    if (!stream.add(text)) return end();
    for (;;) {
      const [stdout, stderr] = streams.map(({ whole }) => whole[0]);
      if (stdout === undefined || stderr === undefined) return;
      for (const { whole } of streams) whole.shift();
      waiting.shift()?.answer(resultOf(stdout, stderr));
    }
  };
  child.stdin.on('error', () => undefined).end();
  child.stdout.setEncoding('utf8').on('data', hear(streams[0]));
  child.stderr.setEncoding('utf8').on('data', hear(streams[1]));
  const over = (): void => {
    clearTimeout(timer);
    const [stdout, stderr] = streams.map(({ rest }) => rest);
    for (const { answer } of waiting)
      answer({ missing: false, exitCode: -1, stdout: stdout ?? '', stderr: stderr ?? '' });
  };
  child.once('error', over).once('close', over);
}

/** What one command printed on one of its streams, and what the shell wrote behind it. */
interface Printed {
  readonly text: string;
  readonly status: string;
}

function resultOf({ text: stdout, status }: Printed, { text: stderr }: Printed): CommandResult {
  const exitCode = Number(status);
  return exitCode === NOT_FOUND ? { missing: true } : { missing: false, exitCode, stdout, stderr };
}

/** A stream, cut where the mark stands. */
class Marked {
  readonly #end: RegExp;
  readonly whole: Printed[] = [];
  rest = '';

  constructor(mark: string) {
    this.#end = new RegExp(`${mark} ?(\\d*)\\n`);
  }

  /** Takes the next characters; `false` when one command printed too much. */
  add(text: string): boolean {
    this.rest += text;
    for (let found = this.#end.exec(this.rest); found !== null; found = this.#end.exec(this.rest)) {
      this.whole.push({ text: this.rest.slice(0, found.index), status: found[1] ?? '' });
      this.rest = this.rest.slice(found.index + found[0].length);
    }
    return this.rest.length <= MAX_OUTPUT_CHARS;
  }
}
