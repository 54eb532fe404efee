import { KEEPALIVES, type Limits } from './limits.ts';
import type { Endpoint } from './ssh-config.ts';

/** Files of one login. */
export interface SshPaths {
  readonly socket: string;
  readonly knownHosts: string;
}

/** How long the process in the background outlives the last thing that it served, in seconds: a killed runner leaves nothing. */
const PERSIST_S = 15;

/** What holds whatever ssh_config says: nobody is asked, no key is trusted that was not looked up, nothing is forwarded. */
const ALWAYS = {
  BatchMode: 'yes',
  StrictHostKeyChecking: 'yes',
  UpdateHostKeys: 'no',
  VerifyHostKeyDNS: 'no',
  NoHostAuthenticationForLocalhost: 'no',
  GlobalKnownHostsFile: '/dev/null',
  // Versions before 8.5 do not know it.
  IgnoreUnknown: 'KnownHostsCommand',
  KnownHostsCommand: 'none',
  ForwardAgent: 'no',
  ForwardX11: 'no',
  ClearAllForwardings: 'yes',
  PermitLocalCommand: 'no',
  RemoteCommand: 'none',
  RequestTTY: 'no',
  ConnectionAttempts: '1',
  ServerAliveCountMax: String(KEEPALIVES),
  LogLevel: 'ERROR',
};

/** All but the host and the command: to log in and stay in the background, or to execute over a login that stays. */
export function sshArguments(
  endpoint: Endpoint,
  paths: SshPaths,
  limits: Limits,
  purpose: 'login' | 'exec',
): readonly string[] {
  const { given } = endpoint;
  const login = purpose === 'login';
  const options: { readonly [name: string]: string } = {
    ...ALWAYS,
    ServerAliveInterval: String(Math.max(1, Math.ceil(limits.keepaliveMs / 1000))),
    UserKnownHostsFile: paths.knownHosts,
    ControlPath: paths.socket,
    ControlMaster: login ? 'yes' : 'no',
    ControlPersist: login ? String(PERSIST_S) : 'no',
    ...(given.key === null ? {} : { IdentitiesOnly: 'yes' }),
    // Without the socket, ssh would connect anew: what was logged in is lost instead.
    ...(login ? {} : { ProxyCommand: 'false' }),
  };
  return [
    ...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
    ...(given.port === null ? [] : ['-p', String(given.port)]),
    ...(given.user === null ? [] : ['-l', given.user]),
    // A % would begin one of ssh's own expansions.
    ...(given.key === null ? [] : ['-i', given.key.replaceAll('%', '%%')]),
  ];
}
