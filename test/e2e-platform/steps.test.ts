import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { missingTools } from '../device/sshd.ts';
import type { JournalLine } from '../e2e/kept-runs.ts';
import { placesOf, told, turns, type Combination } from '../matrix/combinations.ts';
import type { Fault } from '../matrix/faults.ts';
import { Random } from '../matrix/random.ts';
import { BASE_MS } from './base.ts';
import { SERVICES } from './sound.ts';
import { Walk } from './walk.ts';

/** The same again: `STEPS_SEED=… npx vitest run test/e2e-platform/steps.test.ts`; STEPS_ONLY takes those that hold a text. */
const { STEPS_SEED, STEPS_ONLY = '', STEPS_TELL } = process.env;
const SEED = Number(STEPS_SEED ?? Date.now() % 1_000_000);
const FAULTS: readonly Fault[] = ['kill', 'cut', 'agent'];
/** A deploy over another has at least so many steps. */
const STEPS = 26;
/** Boards side by side: a deploy mostly waits. */
const BOARDS = 2;
const ALL_MS = 1_200_000;

vi.setConfig({ hookTimeout: BASE_MS });

interface Planned {
  readonly combination: Combination;
  readonly what: string;
}

/** Each step of a run that went well once, the faults taking turns; of what is done to each service, one service. */
function eachStep(journal: readonly JournalLine[], random: Random): readonly Planned[] {
  const lineOf = (place: string): string =>
    journal.find(({ id, line }) => line !== undefined && place.endsWith(`"id":"${id ?? ''}"`))?.line ?? '';
  const service = random.of(SERVICES);
  const places = placesOf(journal).filter((place) => {
    const named = /(?:stop|start) service (\S+)/.exec(lineOf(place))?.[1] ?? service;
    return named === service && !place.includes('change-started');
  });
  return turns(places, FAULTS, random).map((combination) => ({
    combination,
    what: `${told(combination)}: ${lineOf(combination.place)}`,
  }));
}

/** Works the queue off; yields what failed. */
async function work(walk: Walk, queue: Planned[]): Promise<readonly string[]> {
  const failed: string[] = [];
  for (let one = queue.shift(); one; one = queue.shift()) {
    const begun = performance.now();
    await walk.passes(one.combination).catch((error: unknown) => {
      failed.push(`${one.what}\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      console.log(`FAILED ${failed.at(-1) ?? ''}`);
    });
    if (STEPS_TELL) console.log(`${((performance.now() - begun) / 1000).toFixed(1)} ${one.what}`);
  }
  return failed;
}

describe.skipIf(missingTools !== null)(
  `the real platform${missingTools === null ? '' : ` (skipped: no ${missingTools})`}`,
  () => {
    let walks: readonly Walk[] = [];

    beforeAll(async () => {
      walks = await Promise.all(Array.from({ length: BOARDS }, (_, at) => Walk.begin(new Random(SEED + at))));
    });

    afterAll(async () => {
      await Promise.all(walks.map((walk) => walk.end()));
    });

    test(
      `something goes wrong at each step of a deploy (STEPS_SEED=${String(SEED)})`,
      { timeout: ALL_MS },
      async () => {
        console.log(`STEPS_SEED=${String(SEED)}`);
        const journal = (await walks[0]?.deploysWell()) ?? [];
        const queue = eachStep(journal, new Random(SEED)).filter(({ what }) => what.includes(STEPS_ONLY));
        if (STEPS_ONLY === '') expect(queue.length).toBeGreaterThanOrEqual(STEPS);
        const failed = await Promise.all(walks.map((walk) => work(walk, queue)));
        expect(failed.flat().join('\n\n')).toBe('');
        await Promise.all(walks.map((walk) => walk.endsWell()));
      },
    );
  },
);
