import { expect, test } from 'vitest';
import { crashSeries, dying } from './crash.ts';
import { inProject } from './project.ts';

/** A deploy over another writes more lines than this. */
const LINES = 50;

test(
  'killed right after a line of the journal, whichever it is: recovered',
  () =>
    inProject({}, async (project) => {
      const crashes = await crashSeries(project, (n) => ({
        when: `after line ${String(n)}`,
        options: dying(n, 'after'),
      }));
      expect(crashes).toBeGreaterThan(LINES);
    }),
  900_000,
);
