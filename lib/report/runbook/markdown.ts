import { neutral } from '../neutral.ts';

/** A text as Markdown shows it literally: a code span, whatever backticks it holds, on one line. */
export function code(text: string): string {
  const line = plain(text);
  const longest = Math.max(0, ...[...line.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  const space = line === '' || line.startsWith('`') || line.endsWith('`') ? ' ' : '';
  return `${fence}${space}${line}${space}${fence}`;
}

/** A text in prose: what Markdown would read as more is escaped. */
export const prose = (text: string): string => plain(text).replace(/[\\`*_[\]<>|#~&]/g, (char) => `\\${char}`);

/** A table; `|` ends a cell even inside of a code span. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map((cells) => line(cells.map(cell)))];
}

const cell = (text: string): string => text.replace(/(?<!\\)\|/g, '\\|');

const plain = (text: string): string =>
  text
    .split('\n')
    .map((line) => neutral(line, false))
    .join('⏎');
