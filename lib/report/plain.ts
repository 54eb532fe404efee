import { paintWith } from './colors.ts';
import type { Outcomes } from './outcome.ts';
import type { Reporter, Write } from './reporter.ts';
import { servicesHere, tellTo, type TellOptions } from './tell.ts';

/** Most columns that are kept free for names: a longer one pushes its own lines to the right. */
const MAX_NAME = 32;

/** What a report for people is made with. */
export interface PlainOptions extends TellOptions {
  /** Called once everything stands there. */
  readonly after?: (outcomes: Outcomes) => void;
}

/** For pipes and logs: every line as it comes, behind the name of its task; what failed stands last and whole. */
export function plainReporter(write: Write, options: PlainOptions): Reporter {
  const { color, plan, after } = options;
  const paint = paintWith(color);
  const names = [...plan.nodes.map(({ id }) => id), ...servicesHere(plan).values()];
  const width = Math.min(MAX_NAME, Math.max(0, ...names.map((name) => name.length)));
  /** The task that printed last, as long as no other has printed since its step began: its output needs no repetition. */
  let whole: string | null = null;
  const line = (task: string, text: string, service = task): void => {
    whole = whole === task ? task : null;
    write(`${paint('cyan', service.padEnd(width))} ${paint('dim', '│')} ${text}\n`);
  };
  const sink = {
    line,
    begin(task: string, text: string) {
      whole = task;
      line(task, text);
    },
    end: line,
    say(text: string) {
      whole = null;
      write(`${text}\n`);
    },
    close(lines: readonly string[], outcomes: Outcomes) {
      for (const text of lines) write(`${text}\n`);
      after?.(outcomes);
    },
    get whole() {
      return whole;
    },
  };
  return tellTo(sink, options);
}
