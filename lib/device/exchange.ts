import type { Failure } from '../model/failure.ts';
import type { Answer } from './answer.ts';
import type { AgentChannel } from './channel.ts';
import type { Limits } from './limits.ts';
import type { RawBytes, Request } from './request.ts';

/** A channel, and whether raw bytes are under way on it: no message may be written among them. */
export interface Wire {
  readonly channel: AgentChannel;
  withinBytes: boolean;
}

/** Sends one request and waits for its answer; a cancel or the timeout asks the agent to end it, then cuts the session. */
export function exchange(
  wire: Wire,
  id: number,
  request: Request,
  limits: Limits,
  lose: () => Failure,
): Promise<Answer> {
  const { channel } = wire;
  const raw = request.payload?.();
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
      // In the middle of raw bytes no message can be sent: they end first, and what is under way gets its time, too.
      if (sending) raw?.stop?.();
      else channel.write(cancelLine(id));
      timer = setTimeout(() => channel.cut(), (request.graceMs ?? limits.graceMs) + limits.marginMs);
    };
    channel.onMessage = (message) => {
      if (!('id' in message) || message.id !== id) return;
      if (message.type === 'output') request.output?.(message.stream, message.text);
      if (message.type === 'received') raw?.received?.(message.bytes, message.atMs);
      // As long as bytes arrive, however slowly, nothing hangs.
      if (message.type === 'received' && ending === null) timer?.refresh();
      if (message.type === 'enough') raw?.stop?.();
      // The next request may begin only after the last raw byte of this one.
      if (message.type === 'answer') void sent.finally(() => settle(message.answer));
    };
    void channel.ended.then(() => {
      raw?.stop?.();
      settle({ ok: false, failure: lose() });
    });
    timer = setTimeout(
      () => stop({ reason: 'timed-out', what: request.op, timeoutMs: request.timeoutMs }),
      request.timeoutMs,
    );
    const sent = send(wire, id, request, raw).then(
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

async function send(wire: Wire, id: number, { op, args, change }: Request, raw: RawBytes | undefined): Promise<void> {
  const { channel } = wire;
  channel.write(Buffer.from(`${JSON.stringify({ id, op, args, change, frames: raw && true })}\n`));
  if (raw === undefined) return;
  wire.withinBytes = true;
  for await (const chunk of raw.chunks) {
    if (channel.end !== null) return;
    if (!channel.write(chunk, () => raw.written?.(chunk))) await channel.drained();
  }
  wire.withinBytes = false;
}

function cancelLine(id: number): Buffer {
  return Buffer.from(`${JSON.stringify({ cancel: id })}\n`);
}
