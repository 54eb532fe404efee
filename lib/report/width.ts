import stringWidth from 'string-width';

/** What a terminal draws as one. */
export const graphemes = new Intl.Segmenter();

/** The columns that a text takes in a terminal; colours take none. */
export const widthOf = (text: string): number => stringWidth(text);

/** A text without colours that takes at most so many columns: what was cut is `…`. */
export function fit(text: string, columns: number): string {
  if (columns < 1) return '';
  if (widthOf(text) <= columns) return text;
  let [out, width] = ['', 0];
  for (const { segment } of graphemes.segment(text)) {
    width += widthOf(segment);
    if (width > columns - 1) break;
    out += segment;
  }
  return `${out}…`;
}
