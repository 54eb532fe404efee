import { neutral } from '../neutral.ts';

/** Text that is markup already: everything else is escaped. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type Part = string | number | Markup | null | readonly Part[];

/** Markup with values set in: texts are escaped, lists joined, `null` is nothing. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  return new Markup(
    strings.map((string, index) => string + (index < parts.length ? spelled(parts[index] ?? null) : '')).join(''),
  );
}

function spelled(part: Part): string {
  if (part === null) return '';
  if (part instanceof Markup) return part.text;
  if (typeof part === 'object') return part.map(spelled).join('');
  return escaped(String(part));
}

const ENTITIES: { readonly [char: string]: string } = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as a page may hold it: nothing that is markup, steers anything, or turns the direction of writing around. */
function escaped(text: string): string {
  const lines = text.split('\n').map((line) => neutral(line, false));
  return lines.join('\n').replace(/[&<>"']/g, (char) => ENTITIES[char] ?? '');
}
