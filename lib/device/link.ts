import type { DeviceTarget } from '../model/device.ts';
import type { Failure } from '../model/failure.ts';
import type { Cancel } from '../model/ports.ts';
import { agentSource, type AgentSource } from './agent.ts';
import type { Answer } from './answer.ts';
import { clientOf } from './client.ts';
import { connect, type Connection } from './connection.ts';
import type { Limits } from './limits.ts';
import { takeLock } from './lock.ts';
import type { Request } from './request.ts';
import { openSession, type Session } from './session.ts';
import { resolveEndpoint } from './ssh-config.ts';
import type { Environment } from './target.ts';

/** What a link is made of. */
export interface LinkOptions {
  readonly target: DeviceTarget;
  readonly run: string;
  readonly environment: Environment;
  readonly limits: Limits;
  /** Another agent than this version's own. */
  readonly source?: AgentSource;
}

/** Whether a connection that was lost is made again for what is asked now. */
export type Mode = 'working' | 'undoing';

type Live = { readonly connection: Connection; readonly session: Session };
type Linked = { readonly ok: true; readonly live: Live } | { readonly ok: false; readonly failure: Failure };

/**
 * The one session of a run with a device, made on first use. Lost while locks are held, it is made again only to undo:
 * work must not go on under a lock that was free for a moment. Undo takes the locks again first.
 */
export interface Link {
  request(request: Request, mode: Mode): Promise<Answer>;
  /** Asks over a connection and a session made for it alone: same run, no locks. */
  fresh(request: Request): Promise<Answer>;
  /** Keeps heartbeats coming on whatever session there is, until what it returns is called. */
  beat(everyMs: number): () => void;
  lock(name: string, cancel: Cancel | null, mode: Mode): Promise<Answer>;
  /** Frees a lock; when the session is gone, the kernel did. */
  unlock(name: string): Promise<void>;
  close(): Promise<void>;
}

export function createLink(options: LinkOptions): Link {
  const { run, limits } = options;
  const client = clientOf(options.environment);
  const held = new Set<string>();
  let live: Live | null = null;
  let opening: Promise<Linked> | null = null;
  let beatMs: number | null = null;
  let stopBeat = (): void => undefined;

  const lock = (session: Session, name: string, cancel: Cancel | null, patient: boolean): Promise<Answer> =>
    takeLock(session, { name, client, run, cancel, patient, limits });

  const open = async (mode: Mode, cancel: Cancel | null): Promise<Linked> => {
    if (live?.session.lost === null) return { ok: true, live };
    if (live !== null) {
      if (mode === 'working' && held.size > 0) return { ok: false, failure: live.session.lost };
      await hangUp(live);
      live = null;
    }
    const opened = await start(options, cancel);
    if (!opened.ok) return opened;
    for (const name of held) {
      const locked = await lock(opened.live.session, name, cancel, true);
      if (!locked.ok) {
        await hangUp(opened.live);
        return locked;
      }
    }
    live = opened.live;
    if (beatMs !== null) stopBeat = live.session.beat(beatMs);
    return opened;
  };

  const linked = (mode: Mode, cancel: Cancel | null): Promise<Linked> => {
    // Branches of a plan run side by side: they wait for the same connection.
    opening ??= open(mode, cancel).finally(() => (opening = null));
    return opening;
  };

  return {
    async request(request, mode) {
      const opened = await linked(mode, request.cancel);
      return opened.ok ? opened.live.session.request(request) : opened;
    },
    async fresh(request) {
      const opened = await start(options, request.cancel);
      if (!opened.ok) return opened;
      const answer = await opened.live.session.request(request);
      await hangUp(opened.live);
      return answer;
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
      const opened = await linked(mode, cancel);
      if (!opened.ok) return opened;
      const answer = await lock(opened.live.session, name, cancel, false);
      if (answer.ok) held.add(name);
      return answer;
    },
    async unlock(name) {
      held.delete(name);
      if (live === null || live.session.lost !== null) return;
      await live.session.request({ op: 'unlock', args: { name }, cancel: null, timeoutMs: limits.closeMs });
    },
    async close() {
      await opening;
      held.clear();
      if (live !== null) await hangUp(live);
      live = null;
    },
  };
}

async function start(options: LinkOptions, cancel: Cancel | null): Promise<Linked> {
  const abandon = new AbortController();
  const withdraw = cancel?.onCancel(() => abandon.abort());
  const opened = await dial(options, abandon.signal);
  withdraw?.();
  return !opened.ok && cancel?.cancelled ? { ok: false, failure: cancel.cancelled } : opened;
}

async function dial(options: LinkOptions, abandon: AbortSignal): Promise<Linked> {
  const { target, environment, limits, run } = options;
  const resolved = await resolveEndpoint(target, environment);
  if (!resolved.ok) return resolved;
  const connected = await connect(resolved.endpoint, environment, limits, abandon);
  if (!connected.ok) return connected;
  const { connection } = connected;
  const client = clientOf(environment);
  const header = { root: target.root, run, client, publicPort: target.httpPort, rehearsal: target.rehearsal };
  const opened = await openSession(connection, header, options.source ?? agentSource(), limits, abandon);
  if (opened.ok) return { ok: true, live: { connection, session: opened.session } };
  await connection.close();
  return opened;
}

async function hangUp({ connection, session }: Live): Promise<void> {
  await session.close();
  await connection.close();
}
