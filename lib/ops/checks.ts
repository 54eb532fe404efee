import { s, type Infer } from '../model/schema.ts';

/** What `device.preflight` of the agent answers (docs/agent.md). */
export const preflightFacts = s.object({
  python: s.string,
  sqlite: s.string,
  supervisor: s.string,
  root: s.object({ path: s.string, readOnly: s.boolean, problem: s.nullable(s.string) }),
  boot: s.object({ systemd: s.boolean, init: s.string }),
  sudo: s.nullable(s.choice('root', 'free', 'asks', 'none')),
  temperature: s.nullable(s.object({ celsius: s.number, zone: s.string, skipped: s.list(s.string) })),
  nginx: s.nullable(s.string),
});

export type PreflightFacts = Infer<typeof preflightFacts>;

/** `problem`: a deploy is refused. `warning`: it goes on, and somebody should know. */
export type CheckState = 'ok' | 'warning' | 'problem';

/** One thing that was looked at, what it came to, and what to do (`''`: nothing). */
export interface Check {
  readonly check: string;
  readonly state: CheckState;
  readonly says: string;
  readonly next: string;
}

/** What a system needs of its board beyond room. */
export interface Needs {
  readonly database: boolean;
  readonly web: boolean;
}

/** Beyond this the logs of two machines can no longer be laid beside each other, in ms. */
const SKEW_WARNING_MS = 30_000;
/** Beyond this TLS and signed orders fail, in ms. */
const SKEW_PROBLEM_MS = 300_000;
const WARM_CELSIUS = 80;
const HOT_CELSIUS = 95;
/** SQLite versions with the WAL-reset bug, first and last (procedures: restore). */
const WAL_RESET = [3_007_000, 3_051_002] as const;

const ok = (check: string, says: string): Check => ({ check, state: 'ok', says, next: '' });
const warning = (check: string, says: string, next: string): Check => ({ check, state: 'warning', says, next });
const problem = (check: string, says: string, next: string): Check => ({ check, state: 'problem', says, next });

/** Judges a device. `skewMs`: how far its clock is ahead of this machine's. */
export function judge(facts: PreflightFacts, skewMs: number, needs: Needs): readonly Check[] {
  return [
    clock(skewMs),
    root(facts.root),
    temperature(facts.temperature),
    ok('python', facts.python),
    ...(needs.database ? [sqlite(facts.sqlite)] : []),
    ...(facts.sudo === null ? [] : [sudo(facts.sudo, facts.supervisor)]),
    boot(facts),
    ...(needs.web && facts.nginx !== null ? [ok('nginx', facts.nginx)] : []),
  ];
}

function clock(skewMs: number): Check {
  const off = Math.abs(skewMs);
  if (off <= SKEW_WARNING_MS) return ok('clock', `within ${duration(Math.max(off, 1000))} of this machine's`);
  const says = `${duration(off)} ${skewMs > 0 ? 'ahead of' : 'behind'} this machine's`;
  if (off <= SKEW_PROBLEM_MS)
    return warning('clock', says, 'see whether both machines keep time: timedatectl; times in logs do not agree');
  return problem(
    'clock',
    `${says}: TLS and signed orders fail`,
    'see which of the two is wrong (date -u), and set it: timedatectl set-ntp true, or date -s as root',
  );
}

/** `59 min 58 s`, the two largest units. */
function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${String(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${String(minutes)} min ${String(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${String(hours)} h ${String(minutes % 60)} min` : `${String(Math.floor(hours / 24))} days`;
}

function root({ path, readOnly, problem: code }: PreflightFacts['root']): Check {
  if (readOnly)
    return problem(
      'root',
      `${path} is on a read-only file system`,
      'the disk may be failing: see dmesg, then remount it',
    );
  if (code !== null)
    return problem('root', `${path} takes no writes: ${code}`, 'see df -h, df -i and dmesg on the device');
  return ok('root', `${path} takes writes`);
}

function temperature(found: PreflightFacts['temperature']): Check {
  if (found === null) return ok('temperature', 'no sensor says');
  const says = `${String(found.celsius)} °C (${found.zone})`;
  const next = 'let it cool: fan, dust, load (top); at its limit a board slows down or turns itself off';
  if (found.celsius >= HOT_CELSIUS) return problem('temperature', says, next);
  return found.celsius >= WARM_CELSIUS ? warning('temperature', says, next) : ok('temperature', says);
}

function sqlite(version: string): Check {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  const number = major * 1_000_000 + minor * 1_000 + patch;
  if (number < WAL_RESET[0] || number > WAL_RESET[1]) return ok('sqlite', `${version} (the agent's python3)`);
  return warning(
    'sqlite',
    `${version} (the agent's python3): 3.7.0 to 3.51.2 can corrupt WAL databases`,
    'take 3.51.3 or newer when the system has it; until then keep copies, which every deploy makes',
  );
}

function sudo(state: NonNullable<PreflightFacts['sudo']>, supervisor: string): Check {
  const says = { root: 'is root', free: 'without a password', asks: 'asks for a password', none: 'none' }[state];
  return state === 'root' || supervisor !== 'systemd'
    ? ok('sudo', says)
    : problem('sudo', `${says}, and services run by systemd need root`, 'log in as root, or set X_SUDO');
}

/** After a reboot, or when a deploy was cut off by one, only what systemd starts runs. */
function boot({ boot: { systemd, init }, supervisor }: PreflightFacts): Check {
  if (supervisor === 'systemd')
    return systemd
      ? ok('boot', 'systemd starts the services')
      : problem('boot', `${init} is process 1, not systemd`, "declare supervisor: 'plain', or boot with systemd");
  return warning(
    'boot',
    `nothing starts the services after a reboot${systemd ? '' : ` (${init} is process 1)`}`,
    systemd ? "declare supervisor: 'systemd'" : 'a board with systemd can',
  );
}
