import { duration } from '../outcome.ts';
import type { Span } from '../story.ts';
import { html, type Markup } from './markup.ts';

/** Marks on the axis, about so many. */
const MARKS = 5;

/** Places spans on the width of a page: in per cent, as attributes, so that the page needs no style of an element's own. */
export class Axis {
  readonly #totalMs: number;
  readonly #everyMs: number;

  constructor(totalMs: number) {
    this.#totalMs = Math.max(1, totalMs);
    this.#everyMs = roundStep(this.#totalMs / MARKS);
  }

  /** One bar of `kind`, behind it the axis' marks. */
  bar({ fromMs, toMs }: Span, kind: string): Markup {
    // One without a width would not be drawn at all; its outline makes it wide enough to be seen.
    const width = this.#percent(Math.max(toMs - fromMs, this.#totalMs / 10_000));
    return html`<svg class="bar" aria-hidden="true">
      <use href="#marks" />
      <rect class="${kind}" x="${this.#percent(fromMs)}" width="${width}" y="25%" height="50%" rx="1" />
    </svg>`;
  }

  /** The axis itself; every bar shows its marks again. */
  head(): Markup {
    const labels = this.#times().map(
      (atMs) => html`<text x="${this.#percent(atMs)}" dx="3" y="14">${atMs === 0 ? '0' : took(atMs)}</text>`,
    );
    return html`<svg class="bar axis" aria-hidden="true">
      <g id="marks">${this.#marks()}</g>
      ${labels}
    </svg>`;
  }

  #marks(): readonly Markup[] {
    return this.#times().map((atMs) => {
      const x = this.#percent(atMs);
      return html`<line x1="${x}" x2="${x}" y1="0" y2="100%" />`;
    });
  }

  #times(): readonly number[] {
    return Array.from(
      { length: Math.floor((this.#totalMs * 0.95) / this.#everyMs) + 1 },
      (_, at) => at * this.#everyMs,
    );
  }

  #percent = (ms: number): string => `${((ms / this.#totalMs) * 100).toFixed(3)}%`;
}

/** How long something took, in words: below a second in ms. */
export const took = (ms: number): string => (ms < 1000 ? `${String(Math.round(ms))} ms` : duration(ms));

/** The next of 1, 2, 5 times a power of ten; minutes and hours above. */
function roundStep(ms: number): number {
  const steps = [1, 2, 5].flatMap((one) => [1, 10, 100, 1000, 10_000].map((ten) => one * ten));
  const long = [1, 2, 5, 10, 30, 60, 120, 360, 720, 1440].map((minutes) => minutes * 60_000);
  const all = [...steps.filter((step) => step < 60_000), ...long].sort((a, b) => a - b);
  return all.find((step) => step >= ms) ?? Math.ceil(ms / 86_400_000) * 86_400_000;
}
