import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as rest } from 'node:timers/promises';
import { Cable } from '../device/cable.ts';
import { until } from '../device/poll.ts';
import { descendants, startSshd, type Sshd } from '../device/sshd.ts';
import type { Combination } from '../matrix/combinations.ts';
import type { Fault } from '../matrix/faults.ts';
import type { Random } from '../matrix/random.ts';
import type { Ended } from './command.ts';
import { Platform } from './platform.ts';
import { maybe } from './proc.ts';

const PRELOAD = new URL('../e2e/die-at.ts', import.meta.url).href;
const DEPLOY = ['deploy', '--to', 'jetson'] as const;
const LEASE_MS = 3_000;
/** A deploy that is to go well does so on a machine that has other things to do, too. */
const PATIENT_MS = 30_000;
const PATIENCE = { healthyTimes: 1, healthyTimeoutMs: 30_000, quiesceTimeoutMs: 20_000 };
const SECRETS = ['DJANGO_SECRET_KEY', 'EXCHANGE_API_KEY', 'PLATFORM_API_TOKEN'];
/** How long a cable is out: for a moment, or longer than a lease, in ms. */
const CUTS_MS = [0, LEASE_MS + 500];
/** By then a device has put back whatever it has to put back. */
const AT_REST_MS = 60_000;

/** How a deploy ended to which something happened, and whether it came to that at all. */
export interface Struck {
  readonly ended: Ended;
  readonly happened: boolean;
}

/** The platform's checkout and a board that runs it behind a cable: OpenSSH's own server and plain processes. */
export class Far {
  readonly platform: Platform;
  readonly #sshd: Sshd;
  readonly #cable: Cable;

  private constructor(platform: Platform, sshd: Sshd, cable: Cable) {
    this.platform = platform;
    this.#sshd = sshd;
    this.#cable = cable;
  }

  static async begin(): Promise<Far> {
    const sshd = await startSshd({ name: 'jetson' });
    const cable = await Cable.to(sshd.device.port ?? 0);
    const patience = { ...PATIENCE, leaseMs: PATIENT_MS };
    const far = new Far(await Platform.create({ root: sshd.root, patience }), sshd, cable);
    far.#configure();
    return far;
  }

  #configure(): void {
    const { device, folder, root, hostKeys } = this.#sshd;
    const knownHosts = join(folder, 'known_hosts_cable');
    writeFileSync(knownHosts, `[127.0.0.1]:${String(this.#cable.port)} ${hostKeys['ed25519'] ?? ''}\n`);
    const settings = {
      JETSON_HOST: device.host,
      JETSON_PORT: String(this.#cable.port),
      JETSON_USER: device.user ?? '',
      JETSON_KEY: device.key ?? '',
      JETSON_KNOWN_HOSTS: knownHosts,
      JETSON_ROOT: root,
      JETSON_SUPERVISOR: 'plain',
      ...Object.fromEntries(SECRETS.map((name) => [name, `${name.toLowerCase()}-`.repeat(4)])),
    };
    const lines = Object.entries(settings).map((pair) => `${pair.join('=')}\n`);
    this.platform.write('.env.jetson', lines.join(''));
  }

  deploy(): Promise<Ended> {
    return this.platform.run(...DEPLOY);
  }

  /** Deploys, and has it happen on the way there; the device then does not wait long for a client. */
  async strike(combination: Combination, random: Random): Promise<Struck> {
    const patient = this.platform.edit(
      'tasks/deploy.ts',
      `"leaseMs":${String(PATIENT_MS)}`,
      `"leaseMs":${String(LEASE_MS)}`,
    );
    const { fault, place, moment, soonMs } = combination;
    const [asked, done] = [this.platform.path('asked'), this.platform.path('done')];
    for (const path of [asked, done]) rmSync(path, { force: true });
    const wait = `touch '${asked}'; while ! [ -e '${done}' ]; do sleep 0.01; done`;
    const how: { readonly [name: string]: string } =
      fault === 'kill' ? { DIE_WITH: 'SIGKILL' } : { DIE_DO: JSON.stringify(['sh', '-c', wait]) };
    const env = { DIE: moment, DIE_LINE: '1', DIE_LIKE: place, DIE_SOON_MS: String(soonMs), ...how };
    let isOver = false;
    const running = this.platform.runWith({ preload: PRELOAD, env }, ...DEPLOY).finally(() => (isOver = true));
    running.catch(() => undefined);
    await until('it happens, or the run is over', () => existsSync(asked) || isOver, 90_000);
    if (existsSync(asked)) await this.#happen(fault, random, () => writeFileSync(done, ''));
    const ended = await running;
    patient();
    return { ended, happened: existsSync(asked) || ended.status === null };
  }

  async #happen(fault: Fault, random: Random, goOn: () => void): Promise<void> {
    const cutMs = fault === 'cut' ? random.of(CUTS_MS) : 0;
    if (fault === 'agent') for (const pid of this.#agents()) process.kill(pid, 'SIGKILL');
    else if (cutMs === 0) this.#cable.cut();
    else await this.#cable.unplug();
    goOn();
    if (cutMs === 0) return;
    await rest(cutMs);
    await this.#cable.plug();
  }

  /** Waits until nothing is under way on the board: neither for a client nor without one. */
  async comesToRest(): Promise<void> {
    const { board } = this.platform;
    await until(
      'nothing moves on the board',
      () =>
        this.#sshd.sessions().length === 0 &&
        board.watchers().length === 0 &&
        !board.switch().isOpen &&
        // An agent whose client is gone ends its operation first, and holds the lock until then.
        board.heldLocks().length === 0,
      AT_REST_MS,
    );
  }

  /** Takes everything off the board again, and proves that nothing is left. */
  async end(): Promise<void> {
    const gone = await this.platform.run('uninstall', 'jetson', '--with-data', '--confirm', 'jetson');
    const left = this.platform.board.processes();
    if (gone.status !== 0 || left.length > 0) throw new Error(`uninstall: ${JSON.stringify({ ...gone, left })}`);
    await this.platform.stop();
    await this.#cable.unplug();
    await this.#sshd.stop();
  }

  #agents(): readonly number[] {
    const argv = (pid: number): string => maybe(`/proc/${String(pid)}/cmdline`);
    return this.#sshd
      .sessions()
      .flatMap(descendants)
      .filter((pid) => argv(pid).includes('STREAM = io.BufferedReader'));
  }
}
