import { parseMessage, type Message } from './answer.ts';
import type { ByteChannel } from './connection.ts';
import { lineReader } from './lines.ts';

/** How much of the agent's standard error is kept for the message about its end, in characters. */
const MAX_TAIL = 2000;

/** How a channel ended: with a status, or, when the connection went, without. */
interface End {
  readonly exitCode: number | null;
  readonly tail: string;
}

/** The agent's side of a channel: messages in, bytes out. */
export interface AgentChannel {
  onMessage: (message: Message) => void;
  /** Told the last of what came on standard error, whenever more came. */
  onComplaint: (tail: string) => void;
  /** A command in front of the agent's said that it has become it. */
  readonly ready: boolean;
  readonly end: End | null;
  readonly ended: Promise<void>;
  /**
   * False when the other side should be waited for (`drained`). Bytes for a channel that ended are dropped. `done` is
   * called when their memory may be used again, if ever.
   */
  write(bytes: Buffer, done?: () => void): boolean;
  /** Resolves when more may be written, or nothing will be any more. */
  drained(): Promise<void>;
  /** Ends it at once. */
  cut(): void;
  /** Lets the agent end by itself; cuts it when that takes longer than `closeMs`. */
  close(closeMs: number): Promise<void>;
}

/** Wraps a channel's bytes. Pending writes may never be called back once it ended: nothing waits for one alone. */
export function openChannel(raw: ByteChannel, place: string): AgentChannel {
  let end: End | null = null;
  let tail = '';
  let ready = false;
  let finish: (exitCode: number | null) => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    finish = (exitCode) => {
      end ??= { exitCode, tail: tail.trim() };
      resolve();
    };
  });
  const channel: AgentChannel = {
    onMessage: () => undefined,
    onComplaint: () => undefined,
    get ready() {
      return ready;
    },
    get end() {
      return end;
    },
    ended,
    write: (bytes, done) => end !== null || !raw.stdin.writable || raw.stdin.write(bytes, done),
    drained: () => Promise.race([ended, new Promise<void>((resolve) => raw.stdin.once('drain', resolve))]),
    cut: () => {
      raw.cut();
      finish(null);
    },
    async close(closeMs) {
      if (end !== null) return;
      raw.stdin.end();
      const cut = setTimeout(() => channel.cut(), closeMs);
      await ended;
      clearTimeout(cut);
    },
  };
  const read = lineReader((line) => {
    const message = end === null ? parseMessage(line, place) : null;
    if (message?.type === 'ready') ready = true;
    if (message !== null) channel.onMessage(message);
  });
  raw.stdout.on('data', (bytes: Buffer) => {
    if (!read(bytes)) channel.cut();
  });
  raw.stderr.on('data', (bytes: Buffer) => {
    tail = (tail + bytes.toString('utf8')).slice(-MAX_TAIL);
    channel.onComplaint(tail);
  });
  // What can no longer be written went with the command: its end says so.
  raw.stdin.on('error', () => undefined);
  void raw.exit.then(finish);
  return channel;
}
