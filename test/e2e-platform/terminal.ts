import { spawn, type ChildProcess } from 'node:child_process';
import { until } from '../device/poll.ts';

/** Runs a command in a terminal of its own and passes on what it prints, what is typed, and how it ends. */
const BRIDGE = `
import os, pty, select, signal, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
try:
    while True:
        for fd in select.select([terminal, 0], [], [])[0]:
            data = os.read(fd, 65536)
            if not data and fd == 0:
                os.kill(pid, signal.SIGKILL)
            os.write(1 if fd == terminal else terminal, data)
except OSError:
    pass
status = os.waitpid(pid, 0)[1]
sys.exit(128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))
`;

/** A command in a terminal. */
export class Terminal {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number>;
  #text = '';

  constructor(command: readonly string[], { cwd, env }: { readonly cwd: string; readonly env: NodeJS.ProcessEnv }) {
    this.#child = spawn('python3', ['-c', BRIDGE, ...command], {
      cwd,
      env: { ...env, TERM: 'xterm' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child.stdout?.on('data', (text: Buffer) => (this.#text += text.toString()));
    this.#ended = new Promise((resolve) => this.#child.once('close', (status) => resolve(status ?? -1)));
  }

  /** What stands in the terminal, without colours. */
  get text(): string {
    return this.#text.replace(/\x1b\[[0-9;?]*[a-zA-Z]/g, '').replaceAll('\r', '');
  }

  type(keys: string): void {
    this.#child.stdin?.write(keys);
  }

  /** How the command ended: a shell's status. */
  async status(timeoutMs = 20_000): Promise<number> {
    let status: number | null = null;
    void this.#ended.then((ended) => (status = ended));
    return until(`the end of: ${this.text}`, () => (status === null ? null : { status }), timeoutMs).then(
      ({ status }) => status,
    );
  }

  /** Ends it, whatever state it is in. */
  close(): void {
    this.#child.stdin?.end();
  }
}

/** Ctrl-C as the keyboard sends it. */
export const CTRL_C = '\x03';
