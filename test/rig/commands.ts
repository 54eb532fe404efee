import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mkdtempSync, rmSync } from 'node:fs';
import { onTestFinished } from 'vitest';

/** A fake command under way, that does what the test says. */
export interface Command {
  readonly name: string;
  readonly pid: number;
  /** Prints to standard output, as one write. */
  print(text: string): void;
  /** Writes a file, from its working folder. */
  write(path: string, content: string): void;
  /** Listens on a port, on all addresses, and answers HTTP with 200; resolves once it does. */
  serve(port: number): Promise<void>;
  exit(status: number): void;
  /** Resolves when the process is gone. */
  readonly gone: Promise<void>;
}

export interface Commands {
  /** The argv of a command of this name. */
  argv(name: string): string[];
  /** The next start of a command of this name, as soon as it dials in. */
  started(name: string): Promise<Command>;
  /** How often a command of this name was started. */
  count(name: string): number;
}

const PROGRAM = `
const net = require('net'), fs = require('fs');
const socket = net.connect(process.argv[1], () => socket.write(JSON.stringify({ name: process.argv[2], pid: process.pid }) + '\\n'));
let rest = '';
socket.on('data', (data) => {
  const lines = (rest + data).split('\\n');
  rest = lines.pop();
  for (const [act, ...args] of lines.map((line) => JSON.parse(line))) {
    if (act === 'print') process.stdout.write(args[0]);
    if (act === 'write') fs.writeFileSync(args[0], args[1]);
    if (act === 'exit') process.exit(args[0]);
    if (act === 'serve') require('http').createServer((q, a) => a.end('ok')).listen(args[0], () => socket.write('served\\n'));
  }
});
socket.on('close', () => process.exit(99));
`;

/** Commands that dial back over a socket, so that the test decides when each prints and exits. */
export async function commands(): Promise<Commands> {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-rig-'));
  const path = join(folder, 's');
  const waiting = new Map<string, ((command: Command) => void)[]>();
  const come = new Map<string, Command[]>();
  const counts = new Map<string, number>();
  const server = createServer((socket) => {
    void hello(socket).then((command) => {
      counts.set(command.name, (counts.get(command.name) ?? 0) + 1);
      const wait = waiting.get(command.name)?.shift();
      if (wait) wait(command);
      else come.set(command.name, [...(come.get(command.name) ?? []), command]);
    });
  });
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => void sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    argv: (name) => [process.execPath, '-e', PROGRAM, path, name],
    started(name) {
      const there = come.get(name)?.shift();
      if (there) return Promise.resolve(there);
      return new Promise((resolve) => waiting.set(name, [...(waiting.get(name) ?? []), resolve]));
    },
    count: (name) => counts.get(name) ?? 0,
  };
}

async function hello(socket: Socket): Promise<Command> {
  socket.on('error', () => undefined);
  const heard = { text: '' };
  socket.on('data', (data: Buffer) => (heard.text += data.toString()));
  const line = (holds: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (!holds()) return;
        socket.off('data', look);
        resolve();
      };
      socket.on('data', look);
      look();
    });
  await line(() => heard.text.includes('\n'));
  const { name, pid } = JSON.parse(heard.text.split('\n')[0] ?? '') as { name: string; pid: number };
  const say = (...act: readonly unknown[]): void => void socket.write(`${JSON.stringify(act)}\n`);
  return {
    name,
    pid,
    print: (text) => say('print', text),
    write: (path, content) => say('write', path, content),
    serve: (port) => (say('serve', port), line(() => heard.text.includes('served'))),
    exit: (status) => say('exit', status),
    gone: new Promise((resolve) => socket.once('close', () => resolve())),
  };
}
