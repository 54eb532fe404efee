import type { Cancel } from '../model/ports.ts';
import type { Failure } from '../model/failure.ts';
import type { Json } from '../model/json.ts';
import { bootstrapCommand, type AgentSource } from './agent.ts';
import type { Answer, Message } from './answer.ts';
import { openChannel, type AgentChannel } from './channel.ts';
import type { Connection } from './connection.ts';
import type { Limits } from './limits.ts';

/** One request to the agent. */
export interface Request {
  readonly op: string;
  readonly args: { readonly [name: string]: Json };
  /** Raw bytes that follow the request line, their number announced. */
  readonly payload?: { readonly bytes: number; readonly chunks: AsyncIterable<Buffer> };
  readonly output?: (stream: 'stdout' | 'stderr', text: string) => void;
  /** `null`: nothing but the timeout may cut it short. */
  readonly cancel: Cancel | null;
  readonly timeoutMs: number;
  /** How long the agent may take to end the operation after a cancel, in ms. */
  readonly graceMs?: number;
}

/** What the agent is told before its first operation. */
export interface SessionHeader {
  readonly root: string;
  readonly run: string;
  readonly publicPort: number | null;
  readonly rehearsal: boolean;
}

/** A conversation with the agent: it lives as long as this, and its locks with it. */
export interface Session {
  /** Why nothing can be asked any more, or `null`. */
  readonly lost: Failure | null;
  /** Requests are answered one after the other, in the order in which they were made. */
  request(request: Request): Promise<Answer>;
  /** Ends the agent in an orderly way, or else not; never hangs, never fails. */
  close(): Promise<void>;
}

export type SessionOpened =
  { readonly ok: true; readonly session: Session } | { readonly ok: false; readonly failure: Failure };

/** Starts the agent on a connection. No python3, or one that is too old, is `no-python`. */
export async function openSession(
  connection: Connection,
  header: SessionHeader,
  source: AgentSource,
  limits: Limits,
  abandon: AbortSignal,
): Promise<SessionOpened> {
  const opened = await connection.exec(bootstrapCommand(source));
  if (!opened.ok) return opened;
  const { agent, sha256 } = source;
  const channel = openChannel(opened.channel, connection.place);
  channel.write(Buffer.from(`${JSON.stringify({ agent: agent.length, sha256, ...header })}\n`));
  channel.write(agent);
  const first = await firstMessage(channel, limits.helloMs, abandon);
  if (first?.type === 'hello') return { ok: true, session: startSession(channel, connection.place, limits) };
  const failure = startFailure(channel, first, connection.place, limits);
  await channel.close(limits.closeMs);
  return { ok: false, failure };
}

/** The first message, past anything that a login script prints before; `null` when none comes. */
function firstMessage(channel: AgentChannel, helloMs: number, abandon: AbortSignal): Promise<Message | null> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(null), helloMs);
    const done = (message: Message | null): void => {
      clearTimeout(timer);
      resolve(message);
    };
    channel.onMessage = done;
    void channel.ended.then(() => done(null));
    abandon.addEventListener('abort', () => done(null), { once: true });
  });
}

function startFailure(channel: AgentChannel, first: Message | null, place: string, limits: Limits): Failure {
  if (first?.type === 'too-old') return { reason: 'no-python', place, found: first.found };
  if (first?.type === 'not-started') return first.failure;
  // An operation's message without an id: the agent refused before there was any, a root that it may not write, say.
  if (first?.type === 'answer' && !first.answer.ok) return first.answer.failure;
  const end = channel.end;
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

const IDLE = 'waiting for the next operation';

function startSession(channel: AgentChannel, place: string, limits: Limits): Session {
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
    const answer = await exchange(channel, nextId++, request, limits, lose);
    doing = IDLE;
    return answer;
  };
  return {
    get lost() {
      return lost;
    },
    request(request) {
      const answer = queue.then(() => perform(request));
      queue = answer;
      return answer;
    },
    close: () => channel.close(limits.closeMs),
  };
}

/** Sends one request and waits for its answer; a cancel or the timeout asks the agent to end it, then cuts the session. */
function exchange(
  channel: AgentChannel,
  id: number,
  request: Request,
  limits: Limits,
  lose: () => Failure,
): Promise<Answer> {
  return new Promise((resolve) => {
    let ending: Failure | null = null;
    let sending = true;
    let timer: NodeJS.Timeout | undefined = undefined;
    const settle = (answer: Answer): void => {
      clearTimeout(timer);
      withdraw();
      channel.onMessage = () => undefined;
      // An operation that was done in spite of the request to end it is done.
      resolve(answer.ok || ending === null ? answer : { ok: false, failure: ending });
    };
    const stop = (why: Failure): void => {
      if (ending !== null) return;
      ending = why;
      clearTimeout(timer);
      // In the middle of raw bytes no message can be sent: what is under way gets its time, too.
      if (!sending) channel.write(cancelLine(id));
      timer = setTimeout(() => channel.cut(), (request.graceMs ?? limits.graceMs) + limits.marginMs);
    };
    channel.onMessage = (message) => {
      if (message.type === 'output' && message.id === id) request.output?.(message.stream, message.text);
      // The next request may begin only after the last raw byte of this one.
      if (message.type === 'answer' && message.id === id) void sent.finally(() => settle(message.answer));
    };
    void channel.ended.then(() => settle({ ok: false, failure: lose() }));
    timer = setTimeout(
      () => stop({ reason: 'timed-out', what: request.op, timeoutMs: request.timeoutMs }),
      request.timeoutMs,
    );
    const sent = send(channel, id, request).then(
      () => {
        sending = false;
        if (ending !== null) channel.write(cancelLine(id));
      },
      // A payload that cannot be read leaves the agent waiting for bytes: only a new session helps.
      () => channel.cut(),
    );
    const withdraw = request.cancel?.onCancel(stop) ?? ((): void => undefined);
  });
}

async function send(channel: AgentChannel, id: number, { op, args, payload }: Request): Promise<void> {
  channel.write(Buffer.from(`${JSON.stringify({ id, op, args, bytes: payload?.bytes ?? 0 })}\n`));
  if (payload === undefined) return;
  for await (const chunk of payload.chunks) {
    if (channel.end !== null) return;
    if (!channel.write(chunk)) await channel.drained();
  }
}

function cancelLine(id: number): Buffer {
  return Buffer.from(`${JSON.stringify({ cancel: id })}\n`);
}
