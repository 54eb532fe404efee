import { expect } from 'vitest';
import { journalOf, runsIn, type JournalLine } from '../e2e/kept-runs.ts';
import type { Combination } from '../matrix/combinations.ts';
import { Random } from '../matrix/random.ts';
import { isPaused, underTraffic } from './api.ts';
import type { Ended } from './command.ts';
import { Far } from './far.ts';
import { SERVICES, expectNoSecrets, expectServes, expectSound } from './sound.ts';

const BACKEND = 'examples/jetson/backend';
/**
 * One deploy in so many brings a migration; before one in so many the operator pauses or resumes; after one in so many
 * that left nothing to recover it is asked for nevertheless.
 */
const ONE_IN = 4;

/** A device, as far as `status --json` is looked at. */
interface Device {
  readonly name: string;
  readonly current: string | null;
  readonly lock: unknown;
  readonly services: readonly { readonly name: string; readonly state: string }[];
  readonly releases: readonly { readonly id: string; readonly state: string }[];
}

/** The platform on a board, gone through one deploy after the other, whatever goes wrong. */
export class Walk {
  readonly #far: Far;
  readonly #random: Random;
  /** The release that is current. */
  #old = '';
  #paused = false;
  #migrations = 0;

  private constructor(far: Far, random: Random) {
    this.#far = far;
    this.#random = random;
  }

  /** A walk of which the board has a release already. */
  static async begin(random: Random): Promise<Walk> {
    const walk = new Walk(await Far.begin(), random);
    const first = await walk.#far.deploy();
    expect(first.status, first.stdout + first.stderr).toBe(0);
    walk.#old = walk.#far.platform.packed('jetson');
    return walk;
  }

  get #run(): string {
    return runsIn(this.#far.platform.dir).at(-1) ?? '';
  }

  /** Deploys while a client goes on placing orders, and nothing goes wrong; yields the run's journal. */
  async deploysWell(): Promise<readonly JournalLine[]> {
    const { platform } = this.#far;
    this.#edit(this.#random);
    const before = platform.board.rows();
    const { value, accepted } = await underTraffic(platform.board, `well-${this.#run}`, () => this.#far.deploy());
    expect(value.status, value.stdout + value.stderr).toBe(0);
    this.#old = platform.packed('jetson');
    await this.#far.comesToRest();
    await expectSound(platform, this.#old, { before, accepted, paused: this.#paused });
    return journalOf(platform.dir, this.#run);
  }

  /** The same, and something goes wrong: sees what must hold as soon as the board is at rest, and again recovered. */
  async passes(combination: Combination): Promise<void> {
    const { platform } = this.#far;
    const random = new Random(combination.seed);
    if (random.below(ONE_IN) === 0) await this.#operatorTurns();
    this.#edit(random);
    const before = platform.board.rows();
    const { value, accepted } = await underTraffic(platform.board, `order-${this.#run}`, () =>
      this.#far.strike(combination, random),
    );
    const { ended, happened } = value;
    const said = `it ended with ${String(ended.status)}: ${ended.stdout}${ended.stderr}`;
    expect(happened || combination.moment === 'soon', said).toBe(true);
    expect([0, 1, 3, 4, null], said).toContain(ended.status);
    await this.#far.comesToRest();
    const isConfirmed = this.#decided(ended, said);
    const isOpen = ended.status === null || ended.status === 4;
    // A confirmed release goes on trading with its client's last word, or when it is recovered.
    const waits = isConfirmed && isOpen && (await isPaused(platform.board));
    await expectServes(platform.board, this.#old, { before, accepted, paused: this.#paused || waits });
    if (isOpen || random.below(ONE_IN) === 0) {
      await this.#recovers(isOpen);
      await expectServes(platform.board, this.#old, { before, accepted, paused: this.#paused });
    }
    await this.#tellsTheTruth();
    expectNoSecrets(platform, ended.stdout, ended.stderr);
  }

  /** Nothing is left to do, each run is told of, and the next deploy goes well. */
  async endsWell(): Promise<void> {
    const { platform } = this.#far;
    await this.deploysWell();
    expect(await platform.run('recover')).toMatchObject({ status: 0, stderr: 'nothing to recover\n' });
    const audit = await platform.run('audit', '--json');
    const { runs } = JSON.parse(audit.stdout) as { readonly runs: readonly { readonly run: string }[] };
    expect(runs.map(({ run }) => run)).toEqual(expect.arrayContaining([...runsIn(platform.dir)]));
  }

  async end(): Promise<void> {
    await this.#far.end();
  }

  /** Which release is right, as the device recorded it; whether that is the new one. */
  #decided({ status }: Ended, said: string): boolean {
    const { board } = this.#far.platform;
    const { run, records } = board.switch();
    const isConfirmed = run === this.#run && records.includes('confirmed');
    if (isConfirmed) expect(records, said).not.toContain('taking-back');
    if (status === 0) expect(isConfirmed, said).toBe(true);
    // What a switch keeps while it is being armed goes with the next lock that is taken.
    if (run === this.#run) expect(board.names('state'), said).not.toContain('ballast');
    if (isConfirmed) this.#old = this.#far.platform.packed('jetson');
    return isConfirmed;
  }

  async #recovers(isOpen: boolean): Promise<void> {
    const recovered = await this.#far.platform.run('recover');
    expect(recovered.status, recovered.stdout + recovered.stderr).toBe(0);
    if (!isOpen) expect(recovered.stderr).toBe('nothing to recover\n');
  }

  async #tellsTheTruth(): Promise<void> {
    const { platform } = this.#far;
    const status = await platform.run('status', '--json');
    expect(status.status, status.stderr).toBe(0);
    const { devices } = JSON.parse(status.stdout) as { readonly devices: readonly Device[] };
    const device = devices.find(({ name }) => name === 'jetson');
    const { current, lock, services = [], releases = [] } = device ?? {};
    expect({ current, lock }).toEqual({ current: this.#old, lock: null });
    expect(services.map(({ name, state }) => `${name} ${state}`).sort()).toEqual(
      SERVICES.map((name) => `${name} running`),
    );
    expect(Object.fromEntries(releases.map(({ id, state }) => [id, state]))).toEqual(platform.board.states());
    // What the database is now is what the current release can run on.
    const accepts = await platform.onBoard('schema-accepts');
    expect(accepts.stdout, accepts.stderr).toContain('"accepts": true');
  }

  /** Makes the next release another one that works as well. */
  #edit(random: Random): void {
    const { platform } = this.#far;
    const edit = `# edit ${String(random.below(1 << 30))}\n`;
    platform.edit(`${BACKEND}/fetcher/loop.py`, /(# edit \d+\n)?$/, edit);
    if (random.below(ONE_IN) === 0) platform.write(...migration(++this.#migrations));
  }

  async #operatorTurns(): Promise<void> {
    this.#paused = !this.#paused;
    const turned = await this.#far.platform.onBoard(this.#paused ? 'trade-quiesce' : 'trade-resume');
    expect(turned).toMatchObject({ status: 0 });
  }
}

/** A migration that adds a column of which no code knows yet. */
function migration(count: number): readonly [path: string, content: string] {
  const name = (count: number): string => (count === 0 ? '0003_new_is_pending' : `${String(1000 + count)}_note`);
  const field = 'models.CharField(max_length=80, blank=True, default="", db_default="")';
  const lines = [
    'from django.db import migrations, models',
    '',
    '',
    'class Migration(migrations.Migration):',
    `    dependencies = [("orders", "${name(count - 1)}")]`,
    `    operations = [migrations.AddField("Order", "note_${String(count)}", ${field})]`,
    '',
  ];
  return [`${BACKEND}/orders/migrations/${name(count)}.py`, lines.join('\n')];
}
