import { deviceVariable } from '../model/device.ts';
import type { Failure } from '../model/failure.ts';
import { endedHow } from '../model/service-here.ts';
import { neutral } from './neutral.ts';
import { quoteWord } from './quote.ts';

/** Which tasks share the death of a service with one before them: it is told with its output once. Needs come first. */
export function sharedDeaths(
  tasks: readonly { readonly task: string; readonly failure: Failure | null }[],
): ReadonlySet<string> {
  const [told, shared] = [new Set<string>(), new Set<string>()];
  for (const { task, failure } of tasks) {
    if (failure?.reason !== 'service-ended') continue;
    const death = JSON.stringify(failure);
    if (told.has(death)) shared.add(task);
    told.add(death);
  }
  return shared;
}

/** A failure in words, lower case: what happened and where, and what to try next. */
export interface Explained {
  readonly message: string;
  readonly next: string;
}

type Of<R extends Failure['reason']> = Extract<Failure, { readonly reason: R }>;

const seconds = (ms: number): string => `${String(Math.round(ms / 100) / 10)} s`;

/** Advice on an error code of the operating system, where there is any better than to look at the path. */
const ABOUT_CODE: { readonly [code: string]: string } = {
  EACCES: 'see who owns it and who may write there',
  EPERM: 'see who owns it and who may write there',
  ENOSPC: 'make room on that disk (df -h), then run it again',
  ENOENT: 'see whether it is there; a task that makes it may be missing among the needs',
  EROFS: 'the file system is read-only: see the kernel log (dmesg) for why',
  EILSEQ:
    'its name is no UTF-8, so nobody would notice what changes there: rename it, or leave it out with a glob: !name*',
  ELOOP: 'folders here link to each other: leave the links out with a glob that begins with !',
  E2BIG: 'its arguments and environment are too long together: hand them over in a file, or on standard input',
  ERR_INVALID_ARG_VALUE: 'no command can be told a NUL byte: see its arguments and environment',
  EMFILE: 'too many open files: raise ulimit -n, or run fewer tasks at once with -j',
};

const ABOUT_CONNECTION: { readonly [code: string]: string } = {
  ECONNREFUSED: 'nothing listens there: see whether the device is up and sshd runs',
  ETIMEDOUT: 'no answer: see whether the device is up and on this network',
  EHOSTUNREACH: 'see whether the device is up and on this network',
  ENETUNREACH: 'see whether this machine is on a network',
  EAI_AGAIN: 'names cannot be resolved now: see whether this machine is on a network',
};

const SUDO: {
  readonly [W in Of<'sudo-refused'>['why']]: {
    readonly message: (user: string) => string;
    readonly next: (variable: string) => string;
  };
} = {
  'wrong-password': {
    message: (user) => `did not take the password of ${user}`,
    next: (variable) => `it was tried once; correct ${variable}`,
  },
  'password-needed': {
    message: (user) => `does not let ${user} in without a password`,
    next: (variable) => `set ${variable}, or allow it there without one (NOPASSWD in sudoers)`,
  },
  'not-allowed': {
    message: (user) => `asked for the password of ${user} once, and refused all the same`,
    next: () => 'see there whether that user may use sudo: sudo -l',
  },
  'not-asked': {
    message: (user) => `refused ${user} without asking for a password`,
    next: () => 'see there what sudo demands (requiretty in sudoers, say): sudo -l',
  },
  'no-sudo': {
    message: () => 'is not there',
    next: () => 'install sudo there, or log in as root',
  },
};

/** Signals that a process brings upon itself. */
const CRASHES: ReadonlySet<string> = new Set(['SIGSEGV', 'SIGABRT', 'SIGBUS', 'SIGILL', 'SIGFPE']);

function aboutSignal(signal: string): string {
  if (signal === 'SIGKILL')
    return 'often memory ran out: see the kernel log (dmesg), and run fewer tasks at once with -j';
  return CRASHES.has(signal)
    ? 'it crashed: run it by hand, under a debugger if need be'
    : 'see who sent the signal, then run it again';
}

const lookAtOutput = (tail: readonly string[]): string =>
  tail.length > 0 ? 'its output above says why' : 'it printed nothing: run its command by hand';

/** The one place where a failure becomes words. */
export const explain: { readonly [R in Failure['reason']]: (failure: Of<R>) => Explained } = {
  'exit-non-zero': ({ command, exitCode, tail }) => ({
    message: `${command} ended with status ${String(exitCode)}`,
    next: lookAtOutput(tail),
  }),
  'killed-by-signal': ({ command, signal }) => ({
    message: `${command} was killed by ${signal}`,
    next: aboutSignal(signal),
  }),
  'command-not-found': ({ command }) => ({
    message: `there is no command ${command}`,
    next: `install it, or see whether PATH holds its folder: command -v ${command}`,
  }),
  'timed-out': ({ what, timeoutMs }) => ({
    message: `${what} was not done within ${seconds(timeoutMs)}`,
    next: 'its output above shows how far it came; a slow machine may need a longer timeoutMs',
  }),
  'not-in-time': ({ what, timeoutMs, last }) => ({
    message: `it did not come about within ${seconds(timeoutMs)} that ${what}${last === '' ? '' : `; last seen: ${last}`}`,
    next: 'see the log of what was waited for',
  }),
  'unexpected-value': ({ what, at, expected, actual }) => ({
    message: `${what} answered something else: ${at === '' ? 'it' : at} should be ${expected}, not ${actual}`,
    next: 'run that command by hand to see its answer',
  }),
  refused: ({ message, next }) => ({
    message,
    next: next ?? 'nothing was changed by this; put that right, then run it again',
  }),
  'not-confirmed': ({ what }) => ({
    message: `not confirmed: ${what}`,
    next: `in a terminal answer the question; otherwise add --yes, or --confirm ${quoteWord(what)}`,
  }),
  cancelled: ({ signal }) => ({
    message: `stopped by ${signal}`,
    next: 'what had been changed was put back; run it again when you like',
  }),
  'service-ended': (ended) => ({
    message: `the service ${ended.service} ${endedHow(ended)} though it should keep running`,
    next: ended.signal === undefined ? lookAtOutput(ended.tail) : aboutSignal(ended.signal),
  }),
  'no-longer-needed': () => ({ message: 'nobody needs it any more', next: 'nothing is left to do' }),
  'port-in-use': ({ port, service }) => ({
    message: `port ${String(port)}, which ${service} needs, is taken`,
    next: `see who has it: ss -ltnp 'sport = :${String(port)}'`,
  }),
  'file-system': ({ code, path, operation }) => ({
    message: `${operation} ${path}: ${code}`,
    next:
      operation === 'watch'
        ? 'the system may watch no more folders: raise fs.inotify.max_user_watches (ENOSPC) or max_user_instances (EMFILE)'
        : (ABOUT_CODE[code] ?? `look at it: ls -la ${path}`),
  }),
  'checksum-mismatch': ({ path, expected, actual }) => ({
    message: `${path} is not what it should be: sha256 ${actual.slice(0, 12)}, not ${expected.slice(0, 12)}`,
    next: 'it was not used; run it again, and if it stays so, the copy at its source is damaged',
  }),
  unreachable: ({ place, address, code }) => ({
    message: `${place} (${address}) cannot be reached: ${code}`,
    next:
      code === 'ENOTFOUND'
        ? `the name is unknown: see ${deviceVariable(place, 'HOST')} in "config"`
        : (ABOUT_CONNECTION[code] ?? `try: ssh ${hostOf(address)} true`),
  }),
  'host-key': ({ place, address, state, fingerprint }) => hostKey(place, address, state, fingerprint),
  authentication: ({ place, address, user }) => ({
    message: `${place} (${address}) does not let ${user} in`,
    next: `see the key: "config" shows ${deviceVariable(place, 'KEY')} and ${deviceVariable(place, 'USER')}; try: ssh ${user}@${hostOf(address)} true`,
  }),
  'ssh-failed': ({ place, address, through, status, said }) => ({
    message: `ssh does not get into ${place} (${address}${through === null ? '' : `, through ${through}`}): ${
      said === '' ? `it ended with status ${String(status)}` : said
    }`,
    next: `try: ssh ${hostOf(address)} true`,
  }),
  'connection-lost': ({ place, doing }) => ({
    message: `the connection to ${place} was lost while ${doing}`,
    next: `see what is there now: status; then run it again`,
  }),
  'left-to-device': ({ place, because }) => ({
    message: `what became of the switch on ${place} is not known (${because}); unless it was confirmed, ${place} takes it back by itself`,
    next: 'see what is there now: status; then "recover" closes this run',
  }),
  'sudo-refused': ({ place, user, why, said }) => ({
    message: `sudo on ${place} ${SUDO[why].message(user)}${said === '' ? '' : `; it said: ${said}`}`,
    next: SUDO[why].next(deviceVariable(place, 'SUDO_PASSWORD')),
  }),
  'no-python': ({ place, found }) => ({
    message: `${place} needs Python 3.8 or newer${found === null ? ', and has none' : `, and has ${found}`}`,
    next: 'install python3 there, or put it on the PATH that ssh sees',
  }),
  'lock-held': ({ place, name, holder }) => ({
    message: `another run holds the lock ${name} on ${place}: ${holderOf(holder)}`,
    next: 'wait until it is done; "status" shows it',
  }),
  'device-refused': ({ place, code, detail }) => ({
    message: `${place} refused (${code})${detail === '' ? '' : `: ${detail}`}`,
    next: 'see what is there now: status',
  }),
  'missing-secret': ({ names, where }) => ({
    message:
      names.length === 1
        ? `the secret ${names.join()} is not set: ${where}`
        : `the secrets ${names.join(', ')} are not set: ${where}`,
    next: `set ${names.length === 1 ? 'it' : 'them'} there; "config" shows every setting's source`,
  }),
  'approval-stale': ({ step, approved, now }) => ({
    message: `what was approved is not what would run now: ${step} was "${approved}", and is "${now}"`,
    next: 'plan again with --dry-run --out, look at it, and apply that',
  }),
  'output-missing': ({ task, path }) => ({
    message: `${task} ended well, but did not make ${path}, which it declares`,
    next: 'correct its outputs, or what makes them',
  }),
  'output-is-input': ({ task, path, service }) => ({
    message:
      service === undefined
        ? `${path} is an input of ${task}, and an output glob of it matches it, too`
        : `${path} is an input of ${service}, which ${task} needs, and an output glob of ${task} matches it, too`,
    next:
      service === undefined
        ? `leave it out of one of them: a glob that begins with ! leaves out ("!${path}")`
        : `leave it out of the inputs of ${service}: "!${path}"`,
  }),
  undone: ({ by }) => ({ message: `run ${by} puts it back`, next: `see what it did: show ${by}` }),
  'cut-off': () => ({ message: 'the runner died here, without a word', next: 'see what is left to do: recover' }),
  broken: ({ message }) => ({
    message: `a defect: ${message}`,
    next: 'that should not happen: please report it with the command and this message',
  }),
};

/** The words for any failure. */
export function explainFailure(failure: Failure): Explained {
  return (explain[failure.reason] as (failure: Failure) => Explained)(failure);
}

/** A failure's message in lines that are safe to print: a device's holds what a service wrote last. */
export const messageLines = (failure: Failure): readonly string[] =>
  explainFailure(failure)
    .message.split('\n')
    .map((line) => neutral(line, false));

/** The last lines that the failed command or service printed, where there was one. */
export const tailOf = (failure: Failure): readonly string[] => ('tail' in failure ? failure.tail : []);

/** A device names the holder of a lock as JSON (docs/agent.md, `state/lock-NAME`), this machine in words. */
function holderOf(text: string): string {
  try {
    const { run, client, since } = JSON.parse(text) as { readonly [field: string]: unknown };
    return `run ${String(run)} of ${String(client)}, since ${String(since)}`;
  } catch {
    return text;
  }
}

const hostOf = (address: string): string => address.replace(/:\d+$/, '');

function hostKey(
  place: string,
  address: string,
  state: 'unknown' | 'changed' | 'revoked',
  fingerprint: string,
): Explained {
  const message = `the host key of ${place} (${address}) is ${state}: ${fingerprint}`;
  switch (state) {
    case 'unknown':
      return {
        message,
        next: `compare it with what the device shows on its own screen (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then: ssh ${hostOf(address)} true`,
      };
    case 'changed':
      return {
        message,
        next: `someone may stand in between; only if the device was set up anew: ssh-keygen -R ${hostOf(address)}`,
      };
    case 'revoked':
      return { message, next: 'do not connect: this key was declared invalid in known_hosts' };
  }
}
