import { existsSync, readFileSync, rmSync } from 'node:fs';
import { expect } from 'vitest';
import type { Board } from '../../scripts/testbed/board.ts';
import type { Account } from '../../scripts/testbed/settings.ts';
import { until } from '../device/poll.ts';
import type { Ended } from '../e2e/command.ts';
import { Project, type CommandOptions } from '../e2e/project.ts';
import type { Combination } from './combinations.ts';
import { faultArgv, mend } from './faults.ts';
import { observe, type Observed } from './observed.ts';
import { Random } from './random.ts';

const PRELOAD = new URL('../e2e/die-at.ts', import.meta.url).href;
const DEPLOY = ['deploy', '--to', 'board'];
const LEASE_MS = 2_000;
/** A deploy that is to go well does so on a machine that has other things to do, too. */
const PATIENT_MS = 20_000;
/** How often the other checkout is the next to deploy, before anything is recovered here: one time in so many. */
const OTHER_EVERY = 5;

export interface ChainOptions {
  readonly board: Board;
  readonly account: Account;
  readonly supervisor: 'plain' | 'systemd';
}

/** A board with two checkouts that deploy to it, gone through one combination after the other. */
export class Chain {
  readonly #options: ChainOptions;
  readonly #root: string;
  readonly #one: Project;
  readonly #other: Project;
  /** The release that is current. */
  #old = '';

  private constructor(options: ChainOptions) {
    const patience = { healthyTimes: 1, healthyTimeoutMs: 20_000, leaseMs: PATIENT_MS };
    this.#options = options;
    this.#root = options.board.rootOf(options.account);
    const launched = true;
    [this.#one, this.#other] = [new Project({ patience, launched }), new Project({ patience, launched })];
    const settings = { ...options.board.environment('board', options.account), BOARD_SUPERVISOR: options.supervisor };
    for (const project of [this.#one, this.#other])
      project.write(
        '.env.board',
        Object.entries(settings)
          .map((pair) => `${pair.join('=')}\n`)
          .join(''),
      );
  }

  /** A chain of which the board has a release already. */
  static async begin(options: ChainOptions): Promise<Chain> {
    const chain = new Chain(options);
    await chain.#deploysWell(chain.#other);
    await chain.#deploysWell(chain.#one);
    chain.#one.replace('tasks.ts', `"leaseMs":${String(PATIENT_MS)}`, `"leaseMs":${String(LEASE_MS)}`);
    return chain;
  }

  /** The journal of the last run here. */
  get journal(): ReturnType<Project['journal']> {
    return this.#one.journal();
  }

  /** Has it happen, and sees what must hold afterwards; false when the run was over before it could. */
  async passes(combination: Combination): Promise<boolean> {
    const { board, account } = this.#options;
    const random = new Random(combination.seed);
    this.#one.edit();
    const { ended: struck, happened } = await this.#strike(combination, random);
    const run = this.#one.runs().at(-1) ?? '';
    const next = this.#one.packed();
    const seen = await observe(board, this.#root);
    const confirmed = seen.run === run && seen.switch.includes('confirmed');
    const right = confirmed ? next : this.#old;
    const said = `${struck.stdout}${struck.stderr}`;
    // What a switch keeps while it is being armed goes with the next lock that is taken.
    const looked = seen.run === run ? seen : { ...seen, ballast: false };
    isGood(looked, right, `${account}: the client ended with ${String(struck.status ?? struck.signal)}: ${said}`);
    if (confirmed) expect(seen.switch, said).not.toContain('taking-back');
    if (struck.status === 0) expect(right, said).toBe(next);
    this.#old = right;
    expect([0, 1, 3, 4, null], said).toContain(struck.status);
    if (random.below(OTHER_EVERY) === 0) await this.#deploysWell(this.#other);
    await this.#recovers(struck, random);
    return happened;
  }

  async #strike(
    combination: Combination,
    random: Random,
  ): Promise<{ readonly ended: Ended; readonly happened: boolean }> {
    const { board, account } = this.#options;
    const { fault, place, moment, soonMs } = combination;
    const toldAt = this.#one.path('told');
    rmSync(toldAt, { force: true });
    const argv = faultArgv(fault, board, account);
    const how: { readonly [name: string]: string } =
      argv === null ? { DIE_WITH: 'SIGKILL' } : { DIE_DO: JSON.stringify(argv), DIE_TOLD: toldAt };
    const options: CommandOptions = {
      preload: [PRELOAD],
      env: { DIE: moment, DIE_LINE: '1', DIE_LIKE: place, DIE_SOON_MS: String(soonMs), ...how },
    };
    const running = this.#one.start(DEPLOY, options);
    let ended: Ended | null = null;
    running.ended.then(
      (one) => (ended = one),
      () => undefined,
    );
    try {
      await until('it happens, or the run is over', () => existsSync(toldAt) || ended !== null, 60_000);
      if (existsSync(toldAt)) {
        expect(readFileSync(toldAt, 'utf8')).toBe('done');
        await mend(fault, board, random);
      }
    } catch (error) {
      running.child.kill('SIGKILL');
      throw error;
    }
    const end = await running.ended;
    if (fault === 'disk') await board.free();
    return { ended: end, happened: existsSync(toldAt) || end.signal === 'SIGKILL' };
  }

  /** Nothing stands in the way of this checkout any more, and what another did since stays. */
  async #recovers({ status }: Ended, random: Random): Promise<void> {
    const types = new Set(this.journal.map(({ type }) => type));
    const open = (status === null && !types.has('run-finished')) || status === 4;
    // A run that was cut off before its first change left nothing that another could build on.
    if (open && random.below(4) === 0 && types.has('change-started')) {
      const refused = await this.#one.run(DEPLOY);
      expect(refused.status, refused.stdout + refused.stderr).toBe(3);
    }
    if (open) {
      const recovered = await this.#one.run(['recover']);
      expect(recovered.status, recovered.stdout + recovered.stderr).toBe(0);
      // Otherwise the next combination tells.
      if (random.below(3) === 0) isGood(await observe(this.#options.board, this.#root), this.#old, recovered.stdout);
    }
    if (random.below(4) === 0) {
      const again = await this.#one.run(['recover']);
      expect(again).toMatchObject({ status: 0, stderr: 'nothing to recover\n' });
    }
    if (random.below(4) === 0) await this.#tellsTheTruth();
  }

  async #tellsTheTruth(): Promise<void> {
    const status = await this.#one.run(['status', '--json']);
    expect(status.status, status.stderr).toBe(0);
    const { devices } = JSON.parse(status.stdout) as { readonly devices: readonly { readonly name: string }[] };
    expect(devices.find(({ name }) => name === 'board')).toMatchObject({
      current: this.#old,
      lock: null,
      services: [{ name: 'web', state: 'running' }],
    });
    const audit = await this.#one.run(['audit', '--json']);
    expect(audit.status, audit.stderr).toBe(0);
    const { runs } = JSON.parse(audit.stdout) as { readonly runs: readonly { readonly run: string }[] };
    expect(runs.map(({ run }) => run)).toEqual(expect.arrayContaining(this.#one.runs().slice(-1)));
  }

  async #deploysWell(project: Project): Promise<void> {
    project.edit();
    const ended = await project.run(DEPLOY);
    expect(ended.status, ended.stdout + ended.stderr).toBe(0);
    await this.#deployed(project);
  }

  async #deployed(project: Project): Promise<void> {
    this.#old = project.packed();
    isGood(await observe(this.#options.board, this.#root), this.#old, project.lastLine());
  }

  async end(): Promise<void> {
    await this.#one.stop();
    await this.#other.stop();
  }
}

/** Fails unless one release is current, whole and confirmed, it alone answers, and nothing is under way. */
function isGood(seen: Observed, release: string, said: string): void {
  const wanted: Partial<Observed> = {
    moving: [],
    current: release,
    intact: true,
    services: [['web', 'running', release]],
    answering: [release],
    unreadable: [],
    ballast: false,
  };
  const found = Object.entries(wanted).filter(
    ([key, value]) => JSON.stringify(seen[key as keyof Observed]) !== JSON.stringify(value),
  );
  const states = seen.states[release] === 'confirmed' ? [] : [`${release} is ${seen.states[release] ?? 'unknown'}`];
  const all = [...found.map(([key, value]) => `${key} is not ${JSON.stringify(value)}`), ...states];
  if (all.length > 0) throw new Error(`${all.join('; ')}\n${JSON.stringify(seen)}\n${said}`);
}
