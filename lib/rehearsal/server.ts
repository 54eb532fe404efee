import { timingSafeEqual } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import type { AuthContext, Connection, Server, Session } from 'ssh2';
import { execute, type Executed, type ExecOptions } from './exec.ts';
import type { RunKeys } from './run-keys.ts';

/** The login name of the rehearsal device. */
export const REHEARSAL_USER = 'rehearsal';

/** An SSH server on the loopback interface that runs commands, and does nothing else. */
export interface RehearsalServer {
  readonly port: number;
  /** Ends connections, then what they ran; returns when the last of it has ended. */
  close(): Promise<void>;
}

/** ssh2 has it on both sides; its types leave it out here. */
interface NoDelay {
  setNoDelay(on: boolean): void;
}

/** How long connections may take to end by themselves, in ms. */
const CLOSE_MS = 1_000;

/** Starts the server on a free port of 127.0.0.1, for one client key. */
export async function startServer(keys: RunKeys, options: ExecOptions): Promise<RehearsalServer> {
  const ssh2 = (await import('ssh2')).default;
  const allowed = ssh2.utils.parseKey(keys.clientPublic);
  if (allowed instanceof Error) throw allowed;
  const connections = new Set<Connection>();
  const running = new Set<Executed>();
  const server = new ssh2.Server({ hostKeys: [keys.hostKey] }, (connection) => {
    connections.add(connection);
    // As on the client's side: without it each answer waits for Nagle's algorithm.
    (connection as Connection & NoDelay).setNoDelay(true);
    connection.on('authentication', (context) => authenticate(context, allowed));
    connection.on('session', (accept) => serve(accept(), options, running));
    connection.on('error', () => undefined);
    connection.on('close', () => connections.delete(connection));
  });
  await listen(server);
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const connection of connections) connection.end();
      for (const executed of running) executed.end();
      await Promise.all([...running].map((executed) => executed.ended));
      await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, CLOSE_MS).unref())]);
    },
  };
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve());
  });
}

type PublicKey = {
  readonly type: string;
  getPublicSSH(): Buffer;
  verify(data: Buffer, signature: Buffer, algorithm?: string): boolean;
};

/** Lets in the one key of this run, and nothing else. */
function authenticate(context: AuthContext, allowed: PublicKey): void {
  if (context.method !== 'publickey' || context.username !== REHEARSAL_USER) return context.reject(['publickey']);
  const wanted = allowed.getPublicSSH();
  const { data } = context.key;
  const same = context.key.algo === allowed.type && data.length === wanted.length && timingSafeEqual(data, wanted);
  if (!same) return context.reject(['publickey']);
  // Without a signature the client only asks whether the key would do.
  if (context.signature === undefined || context.blob === undefined) return context.accept();
  if (allowed.verify(context.blob, context.signature, context.hashAlgo)) context.accept();
  else context.reject(['publickey']);
}

/** Only `exec` is answered: ssh2 refuses shells, subsystems, forwarding and terminals that nothing listens for. */
function serve(session: Session, options: ExecOptions, running: Set<Executed>): void {
  session.on('exec', (accept, _reject, { command }) => {
    const executed = execute(command, accept(), options);
    running.add(executed);
    session.on('signal', (acceptSignal, _rejectSignal, { name }) => {
      executed.signal(name);
      // A signal wants no answer, and then ssh2 hands over no function, whatever its types say.
      (acceptSignal as (() => void) | undefined)?.();
    });
    void executed.ended.then(() => running.delete(executed));
  });
}
