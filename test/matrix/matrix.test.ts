import { describe, expect, test } from 'vitest';
import { board, BOARD_MS, boardMissing } from '../board/board.ts';
import { Chain, type ChainOptions } from './chain.ts';
import { combinations, placesOf, told, type Combination } from './combinations.ts';
import { FAULTS, type Fault } from './faults.ts';
import { Random } from './random.ts';

/** The same again: `MATRIX_SEED=… npx vitest run test/matrix/matrix.test.ts`; MATRIX_ONLY takes those that hold a text. */
const { MATRIX_SEED, MATRIX_COUNT = '200', MATRIX_ONLY = '' } = process.env;
const SEED = Number(MATRIX_SEED ?? Date.now() % 1_000_000);
/** Of the combinations, on a board without systemd. */
const PLAIN_COUNT = 25;
const MATRIX_MS = 1_200_000;
const BOARDS = Number(process.env['MATRIX_BOARDS'] ?? 5);
/** After a reboot nothing starts what the plain supervisor ran. */
const ON_PLAIN: readonly Fault[] = ['kill', 'cut', 'shell', 'agent', 'disk'];

type Make = () => Promise<ChainOptions>;

const rooted =
  (name: string): Make =>
  async () => ({
    board: await board({ name, size: { diskMb: 64 } }),
    account: 'root',
    supervisor: 'systemd',
  });
const plain: Make = async () => ({
  board: await board({ name: 'p', size: { diskMb: 64 } }),
  account: 'pilot',
  supervisor: 'plain',
});

/** What went through, and what did not. */
interface Tally {
  passed: number;
  missed: number;
  readonly failed: string[];
  /** What failed and went through when it was done again, on a new board: the machine's noise, as long as it is rare. */
  readonly again: Set<Combination>;
}

/** So many may be done again in a run; a fault of ours shows more often, or twice. */
const MOST_AGAIN = 3;

/** Works one queue off; after a failure on a new board. */
async function work(make: Make, first: Chain, queue: Combination[], tally: Tally): Promise<void> {
  let chain: Chain | null = first;
  for (let one = queue.shift(); one; one = queue.shift()) {
    chain ??= await Chain.begin(await make());
    const begun = performance.now();
    try {
      if (await chain.passes(one)) tally.passed++;
      else tally.missed++;
      if (process.env['MATRIX_TELL']) console.log(`${((performance.now() - begun) / 1000).toFixed(1)} ${told(one)}`);
    } catch (error) {
      const failed = `${told(one)}
${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
      console.log(`FAILED ${failed.slice(0, 6_000)}`);
      if (tally.again.size < MOST_AGAIN && !tally.again.has(one)) queue.push(one);
      else tally.failed.push(failed);
      tally.again.add(one);
      await chain.end();
      chain = null;
    }
  }
  await chain?.end();
}

describe.skipIf(boardMissing !== null)(`the crash matrix${boardMissing === null ? '' : ` (${boardMissing})`}`, () => {
  test(
    `whatever goes wrong at whatever step: the old release or the new one (MATRIX_SEED=${String(SEED)})`,
    async () => {
      console.log(`MATRIX_SEED=${String(SEED)}`);
      const random = new Random(SEED);
      const tally: Tally = { passed: 0, missed: 0, failed: [], again: new Set() };
      const makers: readonly Make[] = Array.from({ length: BOARDS }, (_, at) => rooted(`r${String(at)}`));
      const makes = process.env['MATRIX_PLAIN'] === 'no' ? makers : [...makers.slice(1), plain];
      const chains = await Promise.all(makes.map(async (make) => Chain.begin(await make())));
      const places = placesOf(chains[0]?.journal ?? []);
      const count = Number(MATRIX_COUNT) - PLAIN_COUNT;
      const only = (all: readonly Combination[]): Combination[] => all.filter((one) => told(one).includes(MATRIX_ONLY));
      const systemd = only(combinations(places, FAULTS, random, count));
      const onPlain = only(combinations(places, ON_PLAIN, random, 0).slice(0, PLAIN_COUNT));
      await Promise.all(
        chains.map((chain, at) => {
          const make = makes[at] ?? plain;
          return work(make, chain, make === plain ? onPlain : systemd, tally);
        }),
      );
      console.log(
        `${String(tally.passed)} passed, ${String(tally.missed)} came too late, ${String(tally.again.size)} done again, ${String(tally.failed.length)} failed`,
      );
      expect(tally.failed.join('\n\n')).toBe('');
    },
    MATRIX_MS + BOARD_MS,
  );
});
