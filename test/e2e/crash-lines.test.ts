import { expect, test } from 'vitest';
import { crashSeries, dying } from './crash.ts';
import { inProject } from './project.ts';

/** A deploy over another writes more lines than this. */
const LINES = 50;

/** Before it is written what a line tells has happened and is not told; half of it is no line; after it, it is told. */
const MOMENTS = ['before', 'within', 'after'] as const;

test(
  'killed around a line of the journal, whichever it is: recovered',
  () =>
    inProject({}, async (project) => {
      const crashes = await crashSeries(project, (n) => {
        const moment = MOMENTS[n % MOMENTS.length] ?? 'before';
        return { when: `${moment} line ${String(n)}`, options: dying(n, moment) };
      });
      expect(crashes).toBeGreaterThan(LINES);
    }),
  900_000,
);
