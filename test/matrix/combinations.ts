import type { JournalLine } from '../e2e/kept-runs.ts';
import type { Fault } from './faults.ts';
import type { Random } from './random.ts';

const MOMENTS = ['before', 'after', 'soon'] as const;
type Moment = (typeof MOMENTS)[number];
/** Later than that, most of what is announced is over, in ms. */
const SOON_MS = 150;
const PLACES: ReadonlySet<string> = new Set([
  'scope-entered',
  'step-started',
  'step-finished',
  'change-started',
  'settled',
]);

/** One fault at one place of the protocol. */
export interface Combination {
  readonly fault: Fault;
  /** What the line of the journal holds at which it happens. */
  readonly place: string;
  readonly moment: Moment;
  readonly soonMs: number;
  readonly seed: number;
}

/** The places of a protocol: lines of the journal of a run that went well. */
export function placesOf(journal: readonly JournalLine[]): readonly string[] {
  const lines = journal.filter(({ type, id }) => PLACES.has(type) && id?.startsWith('deploy'));
  return lines.map(({ type, id }) => `"type":"${type}","id":"${id ?? ''}"`);
}

/** Each fault at each place, the moment by chance; of the lot, each step at least once and `most` in all. */
export function combinations(
  places: readonly string[],
  faults: readonly Fault[],
  random: Random,
  most: number,
): readonly Combination[] {
  const all = random.shuffled(
    places.flatMap((place) =>
      faults.map((fault) => {
        const moment = random.of(MOMENTS);
        const soonMs = moment === 'soon' ? random.below(SOON_MS) : 0;
        return { fault, place, moment, soonMs, seed: random.below(1 << 30) };
      }),
    ),
  );
  const step = ({ place, fault }: Combination): string => `${fault} ${stepOf(place)}`;
  const firsts = all.filter((one, index) => all.findIndex((other) => step(other) === step(one)) === index);
  return [...firsts, ...all.filter((one) => !firsts.includes(one))].slice(0, Math.max(most, firsts.length));
}

/** Each step once, and once the moment when a switch is settled; the faults take turns. */
export function turns(places: readonly string[], faults: readonly Fault[], random: Random): readonly Combination[] {
  const all = combinations(places, faults, random, places.length * faults.length);
  const first = random.below(faults.length);
  const key = (place: string): string => (place.includes('"settled"') ? place : stepOf(place));
  return [...new Set(places.map(key))].flatMap((one, at) => {
    const fault = faults[(first + at) % faults.length];
    return all.find((other) => other.fault === fault && key(other.place) === one) ?? [];
  });
}

/** Where in its task's plan a place is. */
function stepOf(place: string): string {
  return /\/[\w.]+/.exec(place)?.[0] ?? place;
}

export function told({ fault, place, moment, soonMs, seed }: Combination): string {
  return `${fault} ${moment}${moment === 'soon' ? ` (${String(soonMs)} ms)` : ''} ${place.replaceAll(/"type":|"id":|"/g, '')}, seed ${String(seed)}`;
}
