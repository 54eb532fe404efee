import { randomBytes } from 'node:crypto';
import type { Failure } from '../model/failure.ts';
import { quote } from './agent.ts';
import type { AgentChannel } from './channel.ts';
import type { Connection } from './connection.ts';

/** How the agent becomes root: not at all, by a sudo that asks nothing, or by one that is given the password. */
export type Sudo =
  | { readonly how: 'not' }
  | { readonly how: 'silent' }
  | { readonly how: 'asked'; readonly password: string; readonly word: string };

/** What sudo is to write when it asks: how often it does tells a wrong password from a missing right. */
const PROMPT = '[slipway: sudo asks]';
const BYTES_OF_WORD = 12;
/** sudo's own status for whatever keeps it from running the command (sudo(8), EXIT VALUE). */
const SUDO_FAILED = 1;
/** The shell's, or env's, for a command that is not there. */
const NOT_FOUND = 127;

/** Whether a device's agent is started through sudo, and with which password. */
export function sudoFor(wanted: boolean, password: string | null): Sudo {
  if (!wanted) return { how: 'not' };
  if (password === null) return { how: 'silent' };
  return { how: 'asked', password, word: randomBytes(BYTES_OF_WORD).toString('hex') };
}

/**
 * What stands before the agent's command. `env` finds python3 and has a status for when it does not. The script says
 * when sudo has let it through, and skips a password that sudo had no use for.
 */
export function sudoWords(sudo: Sudo, script: string): readonly string[] {
  if (sudo.how === 'not') return [];
  const options = sudo.how === 'silent' ? ['-n'] : ['-S', '-p', quote(PROMPT)];
  const word = sudo.how === 'silent' ? '' : sudo.word;
  return ['sudo', ...options, '--', 'env', 'python3', '-I', '-S', '-c', quote(script), quote(word)];
}

/**
 * Gives sudo the password, one line and once: what follows is held back until sudo has let the agent through, because
 * it would be taken for a second try. False when it was refused.
 */
export async function passSudo(channel: AgentChannel, sudo: Sudo, timeoutMs: number): Promise<boolean> {
  if (sudo.how !== 'asked') return true;
  channel.write(Buffer.from(`${sudo.password}\n`));
  const passed = await letThrough(channel, timeoutMs);
  if (passed) channel.write(Buffer.from(`${sudo.word}\n`));
  return passed;
}

function letThrough(channel: AgentChannel, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), timeoutMs);
    const done = (passed: boolean): void => {
      clearTimeout(timer);
      resolve(passed);
    };
    channel.onMessage = (message) => {
      if (message.type === 'ready') done(true);
    };
    channel.onComplaint = (said) => {
      if (timesAsked(said) > 1) done(false);
    };
    void channel.ended.then(() => done(false));
  });
}

const timesAsked = (said: string): number => said.split(PROMPT).length - 1;

/** Why sudo kept the agent from starting, or `null` when it was not sudo; the channel has ended. */
export async function sudoFailure(
  connection: Connection,
  channel: AgentChannel,
  sudo: Sudo,
  user: string,
): Promise<Failure | null> {
  const { end } = channel;
  if (sudo.how === 'not' || channel.ready || end === null) return null;
  const asked = timesAsked(end.tail);
  const refused = (why: Extract<Failure, { reason: 'sudo-refused' }>['why']): Failure => ({
    reason: 'sudo-refused',
    place: connection.place,
    user,
    why,
    said: saidBySudo(end.tail, sudo),
  });
  if (asked > 1) return refused('wrong-password');
  if (end.exitCode === NOT_FOUND) return (await hasSudo(connection)) ? null : refused('no-sudo');
  if (end.exitCode !== SUDO_FAILED) return null;
  if (sudo.how === 'silent') return refused('password-needed');
  return refused(asked === 1 ? 'not-allowed' : 'not-asked');
}

/** The same status stands for a missing sudo and a missing python3: asked apart, after the fact. */
async function hasSudo(connection: Connection): Promise<boolean> {
  const opened = await connection.exec('sudo -V');
  if (!opened.ok) return true;
  const { stdin, stdout, stderr, exit } = opened.channel;
  stdin.end();
  stdout.resume();
  stderr.resume();
  return (await exit) !== NOT_FOUND;
}

/** sudo's own words for people, never judged: without our prompt, and without the password in any case. */
function saidBySudo(tail: string, sudo: Sudo): string {
  const plain = tail.replaceAll(PROMPT, '').trim();
  return sudo.how === 'asked' ? plain.replaceAll(sudo.password, '***') : plain;
}
