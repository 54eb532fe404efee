import { expect, test } from 'vitest';
import { crashSeries, dying } from './crash.ts';
import { inProject } from './project.ts';

/** A deploy over another writes more lines than this, and begins more steps than that. */
const [LINES, STEPS] = [50, 13];

// What a line tells has happened, and the line does not tell it: it is missing, or half there.
test(
  'killed right before a line of the journal, whichever it is, or half through it: recovered',
  () =>
    inProject({}, async (project) => {
      const crashes = await crashSeries(project, (n) => {
        const moment = n % 2 === 0 ? 'before' : 'within';
        return { when: `${moment} line ${String(n)}`, options: dying(n, moment) };
      });
      expect(crashes).toBeGreaterThan(LINES);
    }),
  900_000,
);

test(
  'killed while a step is under way, whichever it is: recovered',
  () =>
    inProject({}, async (project) => {
      const crashes = await crashSeries(project, (n) => {
        const [line, soonMs] = [n, [3, 10, 30][n % 3] ?? 0];
        return {
          when: `${String(soonMs)} ms into step ${String(line)}`,
          options: dying(line, 'soon', { like: '"step-started"', soonMs }),
        };
      });
      expect(crashes).toBeGreaterThan(STEPS);
    }),
  900_000,
);
