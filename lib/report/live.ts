import { stripVTControlCharacters } from 'node:util';
import type { ListrDefaultRendererLogLevels } from 'listr2';
import type { Window } from './window.ts';
import { graphemes, widthOf } from './width.ts';

/** Lines do not wrap while the live view stands: one that is wider than it seemed is cut by the terminal. */
const NO_WRAP = '\u001b[?7l';
const RESTORE = '\u001b[?7h\u001b[?25h';

/** Columns that listr2 puts in front of the title and of a row; it takes two more for itself at the end of each. */
const TITLE_INDENT = 2;
const ROW_INDENT = 4;

/** The terminal, as far as a live view needs it. */
export interface Terminal {
  readonly rows?: number;
  readonly columns?: number;
  write(text: string): unknown;
}

/** A text that is drawn over itself. */
export interface Live {
  draw(window: (room: { readonly height: number; readonly width: number }) => Window): void;
  end(): Promise<void>;
}

/** Opens the live view. Should the process end before it was ended, the terminal is given back all the same. */
export async function openLive(terminal: Terminal): Promise<Live> {
  // Bound now, because listr2 holds writes back.
  const write = terminal.write.bind(terminal);
  const restore = (): void => void write(RESTORE);
  process.once('exit', restore);
  write(NO_WRAP);
  const { row, finish } = await openRow(terminal);
  let drawn = { text: '', columns: terminal.columns ?? 80 };
  return {
    draw(window) {
      const [height, columns] = [terminal.rows ?? 24, terminal.columns ?? 80];
      // The line on which the cursor stands is not ours.
      const { title, rows } = window({ height: height - 1, width: columns - ROW_INDENT - 2 });
      const output = rows.join('\n');
      const text = `${title}\n${output}`;
      if (text === drawn.text && columns === drawn.columns) return;
      if (columns < drawn.columns && drawn.text !== '') write(afterReflow(drawn.text.split('\n'), columns));
      drawn = { text, columns };
      row.title = title;
      if (output !== '') row.output = output;
    },
    async end() {
      await finish();
      process.off('exit', restore);
      restore();
    },
  };
}

/**
 * A terminal that became narrower broke the lines that stood there: goes up to where they began now, clears them, and
 * comes back down by as many as were drawn, because that is how far up listr2 goes.
 */
function afterReflow(lines: readonly string[], columns: number): string {
  const now = lines.reduce((sum, line, at) => sum + brokenInto(line, at === 0 ? TITLE_INDENT : ROW_INDENT, columns), 0);
  return now === lines.length ? '' : `\u001b[${String(now)}A\r\u001b[J${'\n'.repeat(lines.length)}`;
}

/** Into how many lines a terminal breaks one: a wide character that does not fit any more begins the next. */
function brokenInto(line: string, indent: number, columns: number): number {
  let [lines, column] = [1, indent];
  for (const { segment } of graphemes.segment(stripVTControlCharacters(line))) {
    const width = widthOf(segment);
    column += width;
    if (column > columns) [lines, column] = [lines + 1, width];
  }
  return lines;
}

/**
 * One row of listr2, whose output are our rows: it redraws everything at every change, so it is given little, seldom.
 * It must neither listen to signals nor end the process: the runner does.
 */
async function openRow(terminal: Terminal): Promise<{
  readonly row: { title: string; output: string };
  readonly finish: () => Promise<unknown>;
}> {
  const { Listr, ListrLogger, ProcessOutput } = await import('listr2');
  const processOutput = new ProcessOutput();
  // It copies the terminal's size when it opens, and breaks rows there ever after: it is to ask each time.
  const out = Object.defineProperties(processOutput.stdout, {
    columns: { get: () => terminal.columns },
    rows: { get: () => terminal.rows },
  });
  Object.defineProperty(processOutput, 'stdout', { value: out });
  let finish: () => void = () => undefined;
  const over = new Promise<void>((resolve) => (finish = resolve));
  let run: Promise<unknown> = over;
  const row = await new Promise<{ title: string; output: string }>((opened) => {
    const task = (_: unknown, row: object): Promise<void> => (opened(row as { title: string; output: string }), over);
    run = new Listr([{ title: ' ', task }], {
      renderer: 'default',
      fallbackRendererCondition: false,
      registerSignalListeners: false,
      rendererOptions: {
        logger: new ListrLogger<ListrDefaultRendererLogLevels>({ processOutput }),
        lazy: true,
        clearOutput: true,
        formatOutput: 'truncate',
      },
    }).run();
  });
  return { row, finish: () => (finish(), run) };
}
