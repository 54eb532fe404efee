import { readFile } from 'node:fs/promises';
import type { AnyAuthMethod } from 'ssh2';
import type { Failure } from '../model/failure.ts';
import type { Endpoint } from './ssh-config.ts';
import { ssh2 } from './ssh2-module.ts';

/** The ways to log in, in order, or why there cannot be any. */
export type Logins =
  { readonly ok: true; readonly methods: AnyAuthMethod[] } | { readonly ok: false; readonly failure: Failure };

type KeyFile =
  | { readonly state: 'usable'; readonly bytes: Buffer }
  | { readonly state: 'encrypted' | 'not-a-key' }
  | { readonly state: 'unreadable'; readonly code: string };

/** A configured key is used alone (through the SSH agent if it is encrypted); otherwise the agent, then what ssh_config names. */
export async function logins(endpoint: Endpoint): Promise<Logins> {
  const username = endpoint.user;
  const agent: AnyAuthMethod[] =
    endpoint.agentSocket === null ? [] : [{ type: 'agent', username, agent: endpoint.agentSocket }];
  const { utils } = ssh2();
  const reads = (bytes: Buffer): boolean => {
    const key = utils.parseKey(bytes);
    return !(key instanceof Error) && (Array.isArray(key) ? ((key as (typeof key)[])[0] ?? key) : key).isPrivateKey();
  };
  const files = await Promise.all(endpoint.keys.map((path) => readKey(path, reads)));
  const keys = files.flatMap((file): AnyAuthMethod[] =>
    file.state === 'usable' ? [{ type: 'publickey', username, key: file.bytes }] : [],
  );
  if (!endpoint.keyConfigured) return { ok: true, methods: [...agent, ...keys] };
  const [path = '', file] = [endpoint.keys[0], files[0]];
  if (file?.state === 'usable') return { ok: true, methods: keys };
  if (file?.state === 'encrypted' && agent.length > 0) return { ok: true, methods: agent };
  return { ok: false, failure: keyFailure(path, file) };
}

/** Why OpenSSH could not use the configured key without asking, or `null`; it reads more kinds of key than ssh2. */
export async function keyProblem(endpoint: Endpoint): Promise<Failure | null> {
  const [path] = endpoint.keys;
  if (!endpoint.keyConfigured || path === undefined) return null;
  const file = await readKey(path, isPrivateKey);
  const usable = file.state === 'usable' || (file.state === 'encrypted' && endpoint.agentSocket !== null);
  return usable ? null : keyFailure(path, file);
}

const isPrivateKey = (bytes: Buffer): boolean => /^-----BEGIN [A-Z ]*PRIVATE KEY-----/m.test(bytes.toString('latin1'));

function keyFailure(path: string, file: KeyFile | undefined): Failure {
  if (file?.state === 'unreadable') return { reason: 'file-system', code: file.code, path, operation: 'read' };
  if (file?.state === 'encrypted')
    return {
      reason: 'refused',
      message: `the key ${path} is encrypted and no SSH agent is there: eval "$(ssh-agent)" && ssh-add ${path}`,
    };
  return {
    reason: 'refused',
    message: `${path} holds no private key in a form that can be read here: ssh-keygen -p -f ${path} rewrites an old form`,
  };
}

async function readKey(path: string, reads: (bytes: Buffer) => boolean): Promise<KeyFile> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    return { state: 'unreadable', code: (error as NodeJS.ErrnoException).code ?? 'EIO' };
  }
  if (isEncrypted(bytes.toString('latin1'))) return { state: 'encrypted' };
  return reads(bytes) ? { state: 'usable', bytes } : { state: 'not-a-key' };
}

/** Read from the form of the file: the cipher's name in OpenSSH's own format (PROTOCOL.key), a header in the others. */
function isEncrypted(text: string): boolean {
  if (/^-----BEGIN ENCRYPTED PRIVATE KEY-----/m.test(text) || /^Proc-Type: 4,ENCRYPTED/m.test(text)) return true;
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([\s\S]*?)-----END/.exec(text)?.[1];
  if (body === undefined) return false;
  const raw = Buffer.from(body, 'base64');
  const magic = 'openssh-key-v1\0'.length;
  const length = raw.length > magic + 4 ? raw.readUInt32BE(magic) : 0;
  return raw.toString('latin1', magic + 4, magic + 4 + length) !== 'none';
}
