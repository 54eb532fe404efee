import type { DeviceTarget } from '../model/device.ts';
import type { Failure } from '../model/failure.ts';
import type { Cancel } from '../model/ports.ts';
import { agentSource, type AgentSource } from './agent.ts';
import { clientOf } from './client.ts';
import type { Connection } from './connection.ts';
import { knownHost, type Asked } from './known-hosts.ts';
import type { Limits } from './limits.ts';
import { openSession, type Session } from './session.ts';
import { hostNameOf, resolveEndpoint } from './ssh-config.ts';
import { ssh2 } from './ssh2-module.ts';
import { sudoFor } from './sudo.ts';
import type { Environment } from './target.ts';
import { connect } from './transport.ts';

/** What a link is made of. */
export interface LinkOptions {
  readonly target: DeviceTarget;
  readonly run: string;
  readonly environment: Environment;
  readonly limits: Limits;
  /** What sudo on the device asks for; without it, it must ask nothing. */
  readonly sudoPassword?: string | null;
  /** Another agent than this version's own. */
  readonly source?: AgentSource;
}

/** A connection with the agent at its other end. */
export interface Live {
  readonly connection: Connection;
  readonly session: Session;
}

export type Linked = { readonly ok: true; readonly live: Live } | { readonly ok: false; readonly failure: Failure };

/** Connects and starts the agent; a cancel ends the attempt. `loggedIn` is called while the device does the latter. */
export async function start(options: LinkOptions, cancel: Cancel | null, loggedIn?: () => void): Promise<Linked> {
  if (cancel?.cancelled) return { ok: false, failure: cancel.cancelled };
  const abandon = new AbortController();
  const withdraw = cancel?.onCancel(() => abandon.abort());
  const opened = await dial(options, abandon.signal, loggedIn);
  withdraw?.();
  return !opened.ok && cancel?.cancelled ? { ok: false, failure: cancel.cancelled } : opened;
}

async function dial(options: LinkOptions, abandon: AbortSignal, loggedIn?: () => void): Promise<Linked> {
  const { target, environment, limits, run } = options;
  const client = clientOf(environment);
  const resolving = resolveEndpoint(target, environment);
  // Most often ssh_config changes nothing about it; otherwise it is asked again.
  const asked: Asked = new Map();
  void knownHost(hostNameOf(target, environment), environment, asked);
  // Those are on their way in a moment; they take as long as ssh2 takes to load.
  await Promise.resolve();
  if (target.transport === 'ssh2') ssh2();
  const resolved = await resolving;
  if (!resolved.ok) return resolved;
  const connected = await connect(resolved.endpoint, environment, limits, abandon, asked);
  if (!connected.ok) return connected;
  const { connection } = connected;
  loggedIn?.();
  const { root, httpPort: publicPort, rehearsal } = target;
  const { user: login } = resolved.endpoint;
  const supervisor = target.supervisor ?? 'plain';
  const { silenceMs } = limits;
  const header = { root, run, client, publicPort, rehearsal, silenceMs, supervisor, login };
  const opened = await openSession(connection, header, {
    source: options.source ?? agentSource(),
    // Units are root's to install.
    sudo: sudoFor(target.sudo ?? (supervisor === 'systemd' && login !== 'root'), options.sudoPassword ?? null),
    limits,
    abandon,
  });
  if (opened.ok) return { ok: true, live: { connection, session: opened.session } };
  await connection.close();
  return opened;
}

/** Ends both in order; never hangs, never fails. */
export async function hangUp({ connection, session }: Live): Promise<void> {
  await session.close();
  await connection.close();
}
