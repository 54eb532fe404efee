import type { RunEvent } from '../model/event.ts';
import type { Reporter, Write } from './reporter.ts';

/** The events that programs may rely on; the journal has more. */
const CONTRACT: ReadonlySet<RunEvent['type']> = new Set([
  'task-started',
  'step-started',
  'step-finished',
  'step-failed',
  'step-undone',
  'task-finished',
  'run-finished',
]);

/** One JSON object a line for each event of the contract. `##[` is spelt otherwise: in GitHub's log it would begin a command. */
export function jsonReporter(write: Write): Reporter {
  return {
    event(event) {
      if (CONTRACT.has(event.type)) write(`${JSON.stringify(event).replaceAll('##[', String.raw`##\u005b`)}\n`);
    },
    close: () => Promise.resolve(),
  };
}
