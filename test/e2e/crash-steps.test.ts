import { expect, test } from 'vitest';
import { crashSeries, dying } from './crash.ts';
import { inProject } from './project.ts';

/** A deploy over another begins more steps than this. */
const STEPS = 13;

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
