import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** Styles a text, or leaves it alone where there are no colours. */
export type Paint = (style: Style, text: string) => string;

export const paintWith = (color: boolean): Paint =>
  color ? (style, text) => styleText(style, text, { validateStream: false }) : (_, text) => text;

/** Whether to use colours: `--no-color`, then NO_COLOR and FORCE_COLOR (no-color.org, force-color.org), then the terminal. */
export function wantsColor(
  asked: boolean,
  env: { readonly [name: string]: string | undefined },
  isTerminal: boolean,
): boolean {
  if (!asked) return false;
  if ((env['NO_COLOR'] ?? '') !== '') return false;
  const forced = env['FORCE_COLOR'];
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  return isTerminal && env['TERM'] !== 'dumb';
}
