import { connect as connectSocket, type Socket } from 'node:net';
import type { AnyAuthMethod, Client, ClientChannel } from 'ssh2';
import type { Failure } from '../model/failure.ts';
import { lostBeforeStart, type ByteChannel, type Connected, type Opened } from './connection.ts';
import { logins } from './keys.ts';
import {
  fingerprint,
  hostKeyAlgorithms,
  judge,
  knownHost,
  type Asked,
  type HostKeyState,
  type KnownHost,
} from './known-hosts.ts';
import { KEEPALIVES, type Limits } from './limits.ts';
import { addressOf, type Endpoint } from './ssh-config.ts';
import { ssh2 } from './ssh2-module.ts';
import type { Environment } from './target.ts';

/** What ssh2 adds to its errors: where one arose. It is judged by that and by its code, never by its text. */
interface SshError extends Error {
  readonly level?: string;
  readonly code?: string | number;
}

/** Connects and logs in with ssh2. The host key is judged before anything secret is sent. `abandon` ends an attempt early. */
export async function connectWithSsh2(
  endpoint: Endpoint,
  environment: Environment,
  limits: Limits,
  abandon: AbortSignal,
  asked: Asked,
): Promise<Connected> {
  // Meanwhile the device starts its side of the conversation, which waits there until the keys are known.
  const line = openLine(endpoint);
  const [known, login] = await Promise.all([knownHost(endpoint, environment, asked), logins(endpoint)]);
  if (known.ok && login.ok) return dial(endpoint, known.known, login.methods, limits, abandon, line);
  line.socket.destroy();
  return known.ok ? (login as Extract<typeof login, { ok: false }>) : known;
}

/** How far a connection without any login comes: always a failure, `authentication` when nothing but the login is missing. */
export async function probe(
  endpoint: Endpoint,
  known: KnownHost,
  limits: Limits,
  abandon: AbortSignal,
): Promise<Failure> {
  const dialled = await dial(endpoint, known, [], limits, abandon);
  if (!dialled.ok) return dialled.failure;
  await dialled.connection.close();
  throw new Error('logged in without any way to');
}

/** A TCP connection, and what went wrong with it before anybody listened. */
interface Line {
  readonly socket: Socket;
  readonly error: () => SshError | null;
}

function openLine({ host, port }: Endpoint): Line {
  // Without noDelay every further request waits about 40 ms (Nagle against delayed acknowledgements).
  const socket = gathering(connectSocket({ host, port, noDelay: true }));
  let early: SshError | null = null;
  socket.on('error', (error) => (early ??= Object.assign(error, { level: 'client-socket' })));
  return { socket, error: () => early };
}

async function dial(
  endpoint: Endpoint,
  known: KnownHost,
  methods: AnyAuthMethod[],
  limits: Limits,
  abandon: AbortSignal,
  { socket, error }: Line = openLine(endpoint),
): Promise<Connected> {
  // ssh2 would take another socket than one that has ended.
  if (socket.destroyed) return { ok: false, failure: failureOf(endpoint, error(), null, 'nothing') };
  const { Client } = ssh2();
  const client = new Client();
  let hostKey: { readonly state: HostKeyState; readonly fingerprint: string } | null = null;
  const outcome = new Promise<Failure | null>((resolve) => {
    let past: 'nothing' | 'handshake' = 'nothing';
    const fail = (error: SshError | null): void => resolve(failureOf(endpoint, error, hostKey, past));
    client.on('handshake', () => (past = 'handshake'));
    client.on('ready', () => resolve(null));
    client.on('error', (error: SshError) => {
      // A broken SSH agent is no end: ssh2 goes on to the next method.
      if (error.level !== 'agent') fail(error);
    });
    client.on('close', () => fail(null));
    abandon.addEventListener('abort', () => fail(null), { once: true });
  });
  client.connect({
    sock: socket,
    username: endpoint.user,
    authHandler: methods,
    agentForward: false,
    readyTimeout: limits.connectMs,
    keepaliveInterval: limits.keepaliveMs,
    keepaliveCountMax: KEEPALIVES,
    algorithms: { serverHostKey: hostKeyAlgorithms(known) },
    hostVerifier: (key: Buffer) => {
      hostKey = { state: judge(known, key), fingerprint: fingerprint(key) };
      return hostKey.state === 'trusted';
    },
  });
  const failure = abandon.aborted ? failureOf(endpoint, null, null, 'nothing') : await outcome;
  const close = closer(client, socket, limits);
  if (failure === null)
    return {
      ok: true,
      connection: { place: endpoint.place, exec: (command) => exec(client, endpoint.place, command), close },
    };
  await close();
  return { ok: false, failure };
}

function failureOf(
  endpoint: Endpoint,
  error: SshError | null,
  hostKey: { readonly state: HostKeyState; readonly fingerprint: string } | null,
  past: 'nothing' | 'handshake',
): Failure {
  const { place, user } = endpoint;
  const address = addressOf(endpoint);
  if (hostKey !== null && hostKey.state !== 'trusted')
    return { reason: 'host-key', place, address, state: hostKey.state, fingerprint: hostKey.fingerprint };
  if (error?.level === 'client-timeout') return { reason: 'unreachable', place, address, code: 'ETIMEDOUT' };
  if (error?.level === 'client-socket')
    return { reason: 'unreachable', place, address, code: String(error.code ?? 'EIO') };
  // Once the keys are exchanged, a server that ends the conversation does so because of the login.
  if (error?.level === 'client-authentication' || past === 'handshake')
    return { reason: 'authentication', place, address, user };
  return { reason: 'unreachable', place, address, code: error === null ? 'ECONNRESET' : 'EPROTO' };
}

function exec(client: Client, place: string, command: string): Promise<Opened> {
  const lost = lostBeforeStart(place);
  return new Promise((resolve) => {
    client.once('close', () => resolve(lost));
    try {
      client.exec(command, (error, channel) => resolve(error ? lost : { ok: true, channel: bytesOf(channel) }));
    } catch {
      // ssh2 throws when the connection ended before.
      resolve(lost);
    }
  });
}

function bytesOf(channel: ClientChannel): ByteChannel {
  let exitCode: number | null = null;
  channel.on('exit', (code: number | null) => {
    exitCode = code;
  });
  const exit = new Promise<number | null>((resolve) => {
    channel.on('error', () => resolve(exitCode));
    channel.on('close', () => resolve(exitCode));
  });
  return { stdin: channel, stdout: channel, stderr: channel.stderr, exit, cut: () => channel.close() };
}

/** Packets that are written in one go leave in one call: each alone costs more than its encryption. */
function gathering(socket: Socket): Socket {
  const write = socket.write.bind(socket) as (...args: readonly unknown[]) => boolean;
  let gathers = false;
  socket.write = (...args: readonly unknown[]) => {
    if (!gathers) {
      gathers = true;
      socket.cork();
      process.nextTick(() => {
        gathers = false;
        socket.uncork();
      });
    }
    return write(...args);
  };
  return socket;
}

function closer(client: Client, socket: Socket, limits: Limits): () => Promise<void> {
  return () =>
    new Promise((resolve) => {
      if (socket.destroyed) return resolve();
      const cut = setTimeout(() => socket.destroy(), limits.closeMs).unref();
      socket.once('close', () => clearTimeout(cut));
      socket.once('close', resolve);
      // Its last word is out: that the other side hears it need not be waited for.
      socket.once('finish', resolve);
      client.end();
      socket.resume();
      socket.unref();
    });
}
