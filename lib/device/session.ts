import type { Failure } from '../model/failure.ts';
import type { Supervisor } from '../model/service.ts';
import { bootstrapCommand, type AgentSource } from './agent.ts';
import type { Answer, Message } from './answer.ts';
import { openChannel, type AgentChannel } from './channel.ts';
import type { Connection } from './connection.ts';
import { exchange, type Wire } from './exchange.ts';
import type { Limits } from './limits.ts';
import type { Request } from './request.ts';
import { passSudo, sudoFailure, sudoWords, type Sudo } from './sudo.ts';

/** What the agent is told before its first operation. */
export interface SessionHeader {
  readonly root: string;
  readonly run: string;
  /** Who works from where, `user@host`, for the device's journal. */
  readonly client: string;
  readonly publicPort: number | null;
  readonly rehearsal: boolean;
  /** Without a word from this side for so long, the agent ends itself. */
  readonly silenceMs: number;
  readonly supervisor: Supervisor;
  /** Who logged in: `~/` is that user's home, also when the agent is root, and services under systemd run as that user. */
  readonly login: string;
}

/** A conversation with the agent: it lives as long as this, and its locks with it. */
export interface Session {
  /** Why nothing can be asked any more, or `null`. */
  readonly lost: Failure | null;
  /** It is lost because the connection went, not because the agent ended. */
  readonly dropped: boolean;
  /** Requests are answered one after the other, in the order in which they were made. */
  request(request: Request): Promise<Answer>;
  /** Sends a heartbeat every `everyMs` from now on, but none within raw bytes; what it returns stops that. */
  beat(everyMs: number): () => void;
  /** Ends the agent in an orderly way, or else not; never hangs, never fails. */
  close(): Promise<void>;
}

export type SessionOpened =
  { readonly ok: true; readonly session: Session } | { readonly ok: false; readonly failure: Failure };

/** What a session is started with. */
export interface SessionOptions {
  readonly source: AgentSource;
  readonly sudo: Sudo;
  readonly limits: Limits;
  readonly abandon: AbortSignal;
}

/** Starts the agent on a connection. No python3, or one that is too old, is `no-python`; sudo's no is `sudo-refused`. */
export async function openSession(
  connection: Connection,
  header: SessionHeader,
  options: SessionOptions,
): Promise<SessionOpened> {
  const { source, sudo, limits, abandon } = options;
  const opened = await connection.exec(bootstrapCommand(source, header.supervisor, sudoWords(sudo, source.sudo)));
  if (!opened.ok) return opened;
  const channel = openChannel(opened.channel, connection.place);
  // Only now, while the device starts what will take it.
  const { agent, sha256 } = source;
  const cut = (): void => channel.cut();
  abandon.addEventListener('abort', cut, { once: true });
  let first: Message | null = null;
  if (await passSudo(channel, sudo, limits.helloMs)) {
    channel.write(Buffer.from(`${JSON.stringify({ agent: agent.length, sha256, ...header })}\n`));
    channel.write(agent);
    first = await firstMessage(channel, limits.helloMs);
  }
  abandon.removeEventListener('abort', cut);
  if (first?.type === 'hello') {
    const session = startSession(channel, connection.place, limits);
    // Until the channel ends: the agent's life depends on it.
    session.beat(header.silenceMs / BEATS_IN_SILENCE);
    return { ok: true, session };
  }
  const tooLong = channel.end === null;
  await channel.close(limits.closeMs);
  const failure =
    (await sudoFailure(connection, channel, sudo, header.login)) ??
    startFailure(tooLong ? null : channel.end, first, connection.place, limits);
  return { ok: false, failure };
}

/** The first message, past anything that a login script prints before; `null` when none comes. */
function firstMessage(channel: AgentChannel, helloMs: number): Promise<Message | null> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(null), helloMs);
    const done = (message: Message | null): void => {
      clearTimeout(timer);
      resolve(message);
    };
    channel.onMessage = (message) => {
      if (message.type !== 'ready') done(message);
    };
    void channel.ended.then(() => done(null));
  });
}

function startFailure(end: AgentChannel['end'], first: Message | null, place: string, limits: Limits): Failure {
  if (first?.type === 'too-old') return { reason: 'no-python', place, found: first.found };
  if (first?.type === 'not-started') return first.failure;
  // An operation's message without an id: the agent refused before there was any, a root that it may not write, say.
  if (first?.type === 'answer' && !first.answer.ok) return first.answer.failure;
  if (end === null) return { reason: 'timed-out', what: `the agent's start on ${place}`, timeoutMs: limits.helloMs };
  // 127 is the shell's status for a command that it did not find.
  if (end.exitCode === 127) return { reason: 'no-python', place, found: null };
  if (end.exitCode === null) return { reason: 'connection-lost', place, doing: 'starting the agent' };
  return {
    reason: 'device-refused',
    place,
    code: 'agent-ended',
    detail: `the agent ended with status ${String(end.exitCode)} before it answered${end.tail === '' ? '' : `: ${end.tail}`}`,
  };
}

/** So many heartbeats in a row may be late. */
const BEATS_IN_SILENCE = 4;
const BEAT = Buffer.from('{"beat": 1}\n');
const IDLE = 'waiting for the next operation';

function startSession(channel: AgentChannel, place: string, limits: Limits): Session {
  const wire: Wire = { channel, withinBytes: false };
  let lost: Failure | null = null;
  let nextId = 1;
  let queue: Promise<unknown> = Promise.resolve();
  let doing = IDLE;
  const lose = (): Failure => {
    const why =
      channel.end === null || channel.end.exitCode === null
        ? ''
        : ` (the agent ended with status ${String(channel.end.exitCode)}${channel.end.tail === '' ? '' : `: ${channel.end.tail}`})`;
    lost ??= { reason: 'connection-lost', place, doing: `${doing}${why}` };
    return lost;
  };
  void channel.ended.then(lose);

  const perform = async (request: Request): Promise<Answer> => {
    if (request.cancel?.cancelled) return { ok: false, failure: request.cancel.cancelled };
    if (lost !== null || channel.end !== null) return { ok: false, failure: lose() };
    doing = request.op;
    const answer = await exchange(wire, nextId++, request, limits, lose);
    doing = IDLE;
    return answer;
  };
  return {
    get lost() {
      return lost;
    },
    get dropped() {
      return channel.end !== null && channel.end.exitCode === null;
    },
    request(request) {
      const answer = queue.then(() => perform(request));
      queue = answer;
      return answer;
    },
    beat(everyMs) {
      const timer = setInterval(() => {
        if (!wire.withinBytes) channel.write(BEAT);
      }, everyMs);
      const stop = (): void => clearInterval(timer);
      void channel.ended.then(stop);
      return stop;
    },
    close: () => channel.close(limits.closeMs),
  };
}
