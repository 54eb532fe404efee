import type { Failure } from '../model/failure.ts';
import type { Cancel } from '../model/ports.ts';
import type { Answer } from './answer.ts';
import { clientOf } from './client.ts';
import { hangUp, start, type Linked, type LinkOptions, type Live } from './dial.ts';
import { takeLock } from './lock.ts';
import { createClosing, persist } from './reconnect.ts';
import type { Request } from './request.ts';
import type { Session } from './session.ts';

/** How often one request is sent again because the connection went before its answer came. */
const MOST_RESENT = 5;

/**
 * What is not sent again by itself: a command of anybody's may have done something each time that it began, and of
 * contents only those that did not arrive are to be sent.
 */
const ONCE: ReadonlySet<string> = new Set(['run', 'release.exec', 'upload.put']);

type Tell = NonNullable<Request['output']>;
const SILENTLY: Tell = () => undefined;

/** Whether work goes on, or what it changed is put back: an undo takes locks again whoever held them meanwhile. */
export type Mode = 'working' | 'undoing';

/**
 * The one session of a run with a device, made on first use. A connection that is lost is made again for a while, its
 * locks are taken again, and what was asked is asked again, for every operation but a command comes to the same when
 * it is repeated. Work goes on only if nobody else held one of the locks in between; otherwise nothing but its undo does.
 */
export interface Link {
  /** A session was there and is gone. */
  readonly lost: boolean;
  request(request: Request, mode: Mode): Promise<Answer>;
  /**
   * Begins to make the connection that the next request will use, if there is none. Resolves when that takes nothing
   * more from this side: to `null` once the device has let it in, or it is there; else to why it cannot be.
   */
  prepare(cancel: Cancel | null): Promise<Failure | null>;
  /** Asks over a connection and a session made for it alone: same run, no locks; for a while again if that is lost. */
  fresh(request: Request): Promise<Answer>;
  /** Begins to make the connection that the next `fresh` will use, while something else is waited for. */
  dialAhead(): void;
  /** Keeps heartbeats coming on whatever session there is, until what it returns is called. */
  beat(everyMs: number): () => void;
  lock(name: string, cancel: Cancel | null, mode: Mode): Promise<Answer>;
  /** Frees a lock; when the session is gone, the kernel did. */
  unlock(name: string): Promise<void>;
  close(): Promise<void>;
}

export function createLink(options: LinkOptions): Link {
  const { run, limits, target } = options;
  const client = clientOf(options.environment);
  const held = new Set<string>();
  const closing = createClosing();
  let live: Live | null = null;
  let opening: Promise<Linked> | null = null;
  let loggedIn = (): void => undefined;
  let beatMs: number | null = null;
  let stopBeat = (): void => undefined;
  let ahead: Promise<Linked> | null = null;
  /** What ended the last session, and until when (of `performance.now`) it is tried to have another. */
  let loss: { readonly failure: Failure; readonly until: number } | null = null;
  /** Why no work may go on: a lock was not ours all the while. */
  let interrupted: Failure | null = null;

  const take = (session: Session, name: string, cancel: Cancel | null, patient: boolean): Promise<Answer> =>
    takeLock(session, { name, client, run, cancel, patient, limits });

  const attempt = async (cancel: Cancel | null): Promise<Linked> => {
    const opened = await start(options, cancel, () => loggedIn());
    if (!opened.ok) return opened;
    for (const name of held) {
      const taken = await take(opened.live.session, name, cancel, true);
      const passed = !taken.ok && taken.failure.reason === 'connection-lost';
      if (!passed && !continued(taken)) interrupted ??= loss?.failure ?? null;
      if (taken.ok) continue;
      await hangUp(opened.live);
      return taken;
    }
    loss = null;
    live = opened.live;
    if (beatMs !== null) stopBeat = live.session.beat(beatMs);
    return opened;
  };

  const open = async (cancel: Cancel | null): Promise<Linked> => {
    if (live?.session.lost === null) return { ok: true, live };
    if (live === null) return loss === null ? attempt(cancel) : persist(() => attempt(cancel), loss.until, cancel);
    const until = performance.now() + (target.reconnectMs ?? limits.reconnectMs);
    loss = { failure: live.session.lost, until };
    const gone = live;
    live = null;
    await hangUp(gone);
    return persist(() => attempt(cancel), until, cancel);
  };

  const linked = (cancel: Cancel | null): Promise<Linked> => {
    // Branches of a plan run side by side: they wait for the same connection.
    opening ??= open(closing.with(cancel)).finally(() => (opening = null));
    return opening;
  };

  const isLost = (): boolean => loss !== null || (live !== null && live.session.lost !== null);

  /** The connection, whichever it is; people are told when it is made again. */
  const linkedAloud = async (cancel: Cancel | null, tell: Tell): Promise<Linked> => {
    if (!isLost()) return linked(cancel);
    tell('stderr', 'the connection was lost; connecting again\n');
    const opened = await linked(cancel);
    if (opened.ok) tell('stderr', 'connected again\n');
    return opened;
  };

  const ask = async (
    mode: Mode,
    cancel: Cancel | null,
    mostResent: number,
    tell: Tell,
    act: (session: Session, again: boolean) => Promise<Answer>,
  ): Promise<Answer> => {
    let answer: Answer | null = null;
    for (let sent = 0; sent <= mostResent; sent++) {
      let opened = await linkedAloud(cancel, tell);
      // Another's cancel ended an attempt that was shared.
      while (!opened.ok && opened.failure.reason === 'cancelled' && !cancel?.cancelled && !closing.closed)
        opened = await linkedAloud(cancel, tell);
      if (mode === 'working' && interrupted !== null) return { ok: false, failure: interrupted };
      // What went wrong first says more than why there is no other connection.
      if (!opened.ok) return answer === null || cancel?.cancelled ? opened : answer;
      const { session } = opened.live;
      answer = await act(session, sent > 0);
      if (answer.ok || answer.failure.reason !== 'connection-lost' || !session.dropped || closing.closed) return answer;
    }
    return answer ?? { ok: false, failure: { reason: 'broken', message: 'nothing was asked' } };
  };

  return {
    get lost() {
      return isLost();
    },
    request: (request, mode) =>
      ask(mode, request.cancel, ONCE.has(request.op) ? 0 : MOST_RESENT, request.output ?? SILENTLY, (session) =>
        session.request(request),
      ),
    prepare(cancel) {
      // One that is lost is made again aloud, by the request.
      if (live !== null || loss !== null) return Promise.resolve(null);
      return new Promise((resolve) => {
        loggedIn = () => resolve(null);
        // Another's cancel ended an attempt that was shared: the request makes its own.
        const another = (failure: Failure): boolean => failure.reason === 'cancelled' && !cancel?.cancelled;
        void linked(cancel).then((opened) => resolve(opened.ok || another(opened.failure) ? null : opened.failure));
      });
    },
    async fresh(request) {
      const until = performance.now() + (target.reconnectMs ?? limits.reconnectMs);
      for (;;) {
        const early = await ahead;
        ahead = null;
        const there = early?.ok === true && early.live.session.lost === null;
        const opened = there ? early : await persist(() => start(options, request.cancel), until, request.cancel);
        if (!opened.ok) return opened;
        const { session } = opened.live;
        const answer = await session.request(request);
        await hangUp(opened.live);
        const again = !answer.ok && answer.failure.reason === 'connection-lost' && session.dropped;
        if (!again || performance.now() >= until || request.cancel?.cancelled) return answer;
      }
    },
    dialAhead() {
      ahead ??= start(options, null);
    },
    beat(everyMs) {
      stopBeat();
      beatMs = everyMs;
      stopBeat = live?.session.beat(everyMs) ?? stopBeat;
      return () => {
        beatMs = null;
        stopBeat();
      };
    },
    async lock(name, cancel, mode) {
      const answer = await ask(mode, cancel, MOST_RESENT, SILENTLY, (session, again) =>
        take(session, name, cancel, again),
      );
      if (answer.ok) held.add(name);
      return answer;
    },
    async unlock(name) {
      held.delete(name);
      if (held.size === 0) interrupted = null;
      if (live === null || live.session.lost !== null) return;
      await live.session.request({ op: 'unlock', args: { name }, cancel: null, timeoutMs: limits.closeMs });
    },
    async close() {
      closing.close();
      const early = await ahead;
      if (early?.ok === true) await hangUp(early.live);
      await opening;
      held.clear();
      if (live !== null) await hangUp(live);
      live = null;
    },
  };
}

/** Whether a lock was ours all the while: the device found our own name in it, and the kernel had freed it. */
function continued(answer: Answer): boolean {
  if (!answer.ok || answer.value === null || typeof answer.value !== 'object') return false;
  return (answer.value as { readonly [field: string]: unknown })['continued'] === true;
}
