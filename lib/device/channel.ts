import type { ClientChannel } from 'ssh2';
import { parseMessage, type Message } from './answer.ts';
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
  readonly end: End | null;
  readonly ended: Promise<void>;
  /** False when the other side should be waited for (`drained`). Bytes for a channel that ended are dropped. */
  write(bytes: Buffer): boolean;
  /** Resolves when more may be written, or nothing will be any more. */
  drained(): Promise<void>;
  /** Ends it at once. */
  cut(): void;
  /** Lets the agent end by itself; cuts it when that takes longer than `closeMs`. */
  close(closeMs: number): Promise<void>;
}

/** Wraps a channel of ssh2, whose pending writes are never called back once it closed. */
export function openChannel(raw: ClientChannel, place: string): AgentChannel {
  let end: End | null = null;
  let exitCode: number | null = null;
  let tail = '';
  let finish = (): void => undefined;
  const ended = new Promise<void>((resolve) => {
    finish = () => {
      end ??= { exitCode, tail: tail.trim() };
      resolve();
    };
  });
  const channel: AgentChannel = {
    onMessage: () => undefined,
    get end() {
      return end;
    },
    ended,
    write: (bytes) => end !== null || !raw.writable || raw.write(bytes),
    drained: () => Promise.race([ended, new Promise<void>((resolve) => raw.once('drain', resolve))]),
    cut: () => {
      raw.close();
      finish();
    },
    async close(closeMs) {
      if (end !== null) return;
      raw.end();
      const cut = setTimeout(() => channel.cut(), closeMs);
      await ended;
      clearTimeout(cut);
    },
  };
  const read = lineReader((line) => {
    const message = end === null ? parseMessage(line, place) : null;
    if (message !== null) channel.onMessage(message);
  });
  raw.on('data', (bytes: Buffer) => {
    if (!read(bytes)) channel.cut();
  });
  raw.stderr.on('data', (bytes: Buffer) => {
    tail = (tail + bytes.toString('utf8')).slice(-MAX_TAIL);
  });
  raw.on('exit', (code: number | null) => {
    exitCode = code;
  });
  raw.on('error', finish);
  raw.on('close', finish);
  return channel;
}
