import type { Plan } from '../model/plan.ts';
import { paintWith } from './colors.ts';
import { epilogue, Outcomes } from './outcome.ts';
import type { Reporter } from './reporter.ts';
import { windowOf } from './window.ts';

/** Shortest time between two drawings, in ms. */
const FRAME_MS = 100;

/** Outcomes of so few tasks are listed one by one at the end. */
const MAX_LISTED = 12;

const SHOW_CURSOR = '\u001b[?25h';

/** The terminal, as far as a live view needs it. */
export interface Terminal {
  readonly rows?: number;
  write(text: string): unknown;
}

interface Live {
  draw(title: string, rows: readonly string[]): void;
  end(): Promise<void>;
}

/** For terminals: a live window that never grows with the plan, and the outcome when the run is over. */
export function prettyReporter(terminal: Terminal, color: boolean, plan: Plan): Reporter {
  const outcomes = new Outcomes(color);
  const paint = paintWith(color);
  let live: Promise<Live> | null = null;
  let timer: NodeJS.Timeout | null = null;
  let closed = false;
  // Should the process end without `close`, the cursor must not stay hidden. Bound now, because listr2 holds writes back.
  const write = terminal.write.bind(terminal);
  const showCursor = (): void => void write(SHOW_CURSOR);

  const draw = async (): Promise<void> => {
    timer = null;
    process.off('exit', showCursor).once('exit', showCursor);
    const view = await (live ??= openLive());
    if (closed) return;
    const { title, rows } = windowOf(outcomes, plan, { nowMs: Date.now(), height: terminal.rows ?? 24, paint });
    view.draw(title, rows);
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
      process.off('exit', showCursor);
      const listed =
        outcomes.tasks.size > MAX_LISTED
          ? []
          : [...outcomes.tasks.values()].map(
              ({ task, state }) => `${MARK[state]} ${task}${state === 'done' ? '' : ` ${state}`}`,
            );
      const ending = outcomes.finished === null ? [] : epilogue(outcomes, plan, { color });
      terminal.write([...listed, ...ending].map((line) => `${line}\n`).join(''));
    },
  };
}

const MARK = { running: '…', done: '✔', fresh: '=', restored: '=', failed: '✖', cancelled: '–' } as const;

/**
 * One row of listr2, whose output are our rows: it redraws everything at every change, so it is given little, seldom.
 * It must neither listen to signals nor end the process: the runner does.
 */
async function openLive(): Promise<Live> {
  const { Listr } = await import('listr2');
  let finish: () => void = () => undefined;
  const over = new Promise<void>((resolve) => (finish = resolve));
  let run: Promise<unknown> = over;
  const row = await new Promise<{ title: string; output: string }>((opened) => {
    const task = (_: unknown, row: object): Promise<void> => (opened(row as { title: string; output: string }), over);
    run = new Listr([{ title: ' ', task }], {
      renderer: 'default',
      fallbackRendererCondition: false,
      registerSignalListeners: false,
      rendererOptions: { lazy: true, clearOutput: true, formatOutput: 'truncate' },
    }).run();
  });
  let before = '';
  return {
    draw(title, rows) {
      const output = rows.join('\n');
      if (`${title}\n${output}` === before) return;
      before = `${title}\n${output}`;
      row.title = title;
      if (output !== '') row.output = output;
    },
    async end() {
      finish();
      await run;
    },
  };
}
