import type { Plan } from '../model/plan.ts';
import { paintWith } from './colors.ts';
import { epilogue } from './epilogue.ts';
import { openLive, type Live, type Terminal } from './live.ts';
import { duration, Outcomes, type TaskState } from './outcome.ts';
import type { Around, Reporter } from './reporter.ts';
import { windowOf } from './window.ts';

/** Shortest time between two drawings, in ms. */
const FRAME_MS = 100;

/** Outcomes of so few tasks are listed one by one at the end. */
const MAX_LISTED = 12;

/** For terminals: a live window that never grows with the plan, and the outcome when the run is over. */
export function prettyReporter(terminal: Terminal, color: boolean, plan: Plan, around: Around): Reporter {
  const outcomes = new Outcomes();
  const paint = paintWith(color);
  let live: Promise<Live> | null = null;
  let timer: NodeJS.Timeout | null = null;
  let closed = false;

  const draw = async (): Promise<void> => {
    timer = null;
    const view = await (live ??= openLive(terminal));
    if (closed) return;
    view.draw(({ height, width }) => windowOf(outcomes, plan, { nowMs: Date.now(), height, width, paint }));
    schedule();
  };
  // A frame also comes without events, so that durations go on; it keeps no process alive.
  const schedule = (): void => {
    if (closed || timer !== null) return;
    timer = setTimeout(() => void draw(), FRAME_MS);
    timer.unref();
  };

  return {
    event(event) {
      outcomes.add(event, Date.now());
      schedule();
    },
    async close() {
      if (closed) return;
      closed = true;
      if (timer !== null) clearTimeout(timer);
      if (live !== null) await (await live).end();
      const listed = outcomes.tasks.size > MAX_LISTED ? [] : [...outcomes.tasks.values()].map(listedLine);
      const ending = outcomes.finished === null ? [] : epilogue(outcomes, plan, { color, around });
      terminal.write([...listed, ...ending].map((line) => `${line}\n`).join(''));
    },
  };
}

const MARK = { running: '…', done: '✔', fresh: '=', restored: '=', failed: '✖', cancelled: '–' } as const;

function listedLine({ task, state, durationMs }: TaskState): string {
  const word = state === 'done' ? '' : ` ${state}`;
  return `${MARK[state]} ${task}${word}${state === 'fresh' || state === 'running' ? '' : ` · ${duration(durationMs)}`}`;
}
