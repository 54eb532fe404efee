import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { tempDir } from './rig.ts';

/** Runs `terminal-runner.ts` under a pseudo-terminal of its own; types `typed` once it says `ready`. */
async function inTerminal(script: string, typed: string, stdin: string): Promise<string> {
  const python = `
import os, pty, sys, select, time
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:2] + sys.argv[3:])
out, typed, end = b'', False, time.time() + 20
while time.time() < end:
    if select.select([fd], [], [], 0.2)[0]:
        try: data = os.read(fd, 65536)
        except OSError: break
        if not data: break
        out += data
    if not typed and b'ready' in out:
        typed = True
        os.write(fd, sys.argv[2].encode())
sys.stdout.buffer.write(out)
os.kill(pid, 9)
`;
  const runner = new URL('./terminal-runner.ts', import.meta.url).pathname;
  const child = spawn(
    'python3',
    ['-c', python, process.execPath, typed, '--import', 'tsx', runner, tempDir(), script, stdin],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  await once(child, 'close');
  return out.replaceAll('\r', '');
}

test('a command with the terminal reads what is typed', async () => {
  expect(await inTerminal('echo ready; read line; echo "got $line"', 'hello\n', 'terminal')).toContain(
    'got hello\n{"ok":true',
  );
}, 30_000);

test('without it, there is nothing to read', async () => {
  expect(await inTerminal('echo ready; read line || echo "got nothing"', 'hello\n', 'none')).toContain('got nothing');
}, 30_000);

test('Ctrl-C reaches a command with the terminal once, from the kernel', async () => {
  const source =
    'trap "echo got INT" INT; echo ready; n=0; while [ $n -lt 20 ]; do sleep 0.05; n=$((n+1)); [ -n "$stop" ] && break; done; exit 3';
  const out = await inTerminal(
    source.replace('got INT', 'got INT; stop=1').replace('"echo got INT; stop=1"', "'echo got INT; stop=1'"),
    '\x03',
    'terminal',
  );
  expect(out.match(/got INT/g)).toHaveLength(1);
  expect(out).toContain('{"reason":"cancelled","signal":"SIGINT"}');
}, 30_000);

test('and one that ignores it is ended', async () => {
  const out = await inTerminal('trap "" INT TERM; echo ready; while :; do sleep 0.1; done', '\x03', 'terminal');
  expect(out).toContain('{"reason":"cancelled","signal":"SIGINT"}');
}, 30_000);
