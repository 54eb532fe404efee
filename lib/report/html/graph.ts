import type { StoryTask } from '../story.ts';
import { layout, reduced, type Layout, type Placed, type Route } from './layout.ts';
import { html, type Markup } from './markup.ts';

/** More tasks or needs than this are no picture any more. */
const MAX_DRAWN = 200;
const MAX_EDGES = 1_000;

/** Sizes in px. A name that is longer than a node is wide is cut; its whole is the node's title. */
const ROW = 38;
const GAP = 52;
const NODE_HEIGHT = 28;
const CHAR_WIDTH = 7.4;
const MAX_CHARS = 30;
const PADDING = 12;

export interface Drawable extends StoryTask {
  /** Where the page tells of it. */
  readonly anchor: string;
}

/** The graph of a run: what a task needs lies on its left. Drawn as plain SVG, every node a link. */
export function graphSvg(tasks: readonly Drawable[]): Markup {
  const needs = tasks.flatMap((task) => task.needs).length;
  if (tasks.length > MAX_DRAWN || needs > MAX_EDGES)
    return html`<p class="dim">${tasks.length} tasks are too many for a picture; --graph dot prints them.</p>`;
  if (tasks.length === 0) return html`<p class="dim">It was not made of tasks.</p>`;
  const shown = reduced(tasks.map((task) => ({ id: task.task, needs: task.needs })));
  const drawing = new Drawing(tasks, layout(shown));
  const { width, height } = drawing;
  const left = needs - shown.flatMap((node) => node.needs).length;
  return html`<div class="graph" tabindex="0" role="group" aria-label="which task needs which">
      <svg width="${width}" height="${height}" viewBox="-2 0 ${width} ${height}">
        <defs>
          <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
            <path class="head" d="M0 1 7 4 0 7z" />
          </marker>
        </defs>
        <g class="edges">${drawing.edges()}</g>
        ${tasks.map((task) => drawing.node(task))}
      </svg>
    </div>
    ${left === 0 ? null : html`<p class="dim">Needs that follow from others are not drawn (${left}).</p>`}`;
}

/** Puts a layout's columns and rows where they belong on the picture. */
class Drawing {
  readonly #layout: Layout;
  readonly #columns: readonly { readonly left: number; readonly right: number }[];

  constructor(tasks: readonly Drawable[], made: Layout) {
    this.#layout = made;
    const widths: number[] = [];
    for (const { task } of tasks) {
      const column = made.places.get(task)?.column ?? 0;
      widths[column] = Math.max(widths[column] ?? 0, Math.ceil(cut(task).length * CHAR_WIDTH) + 2 * PADDING);
    }
    let right = -GAP;
    this.#columns = widths.map((width) => ({ left: right + GAP, right: (right += GAP + width) }));
  }

  get width(): number {
    return (this.#columns.at(-1)?.right ?? 0) + 4;
  }

  get height(): number {
    return Math.ceil(this.#layout.rows * ROW);
  }

  edges(): readonly Markup[] {
    return this.#layout.routes.map((route) => html`<path d="${this.#path(route)}" marker-end="url(#arrow)" />`);
  }

  node({ task, outcome, anchor }: Drawable): Markup | null {
    const place = this.#layout.places.get(task);
    if (place === undefined) return null;
    const [{ left, right }, y] = [this.#column(place), place.row * ROW];
    const box = html`<rect
      x="${left}"
      y="${y - NODE_HEIGHT / 2}"
      width="${right - left}"
      height="${NODE_HEIGHT}"
      rx="6"
    />`;
    const label = html`<text x="${left + PADDING}" y="${y + 4.5}">${cut(task)}</text>`;
    return html`<a href="#${anchor}" class="node ${outcome.replaceAll(' ', '-')}"
      ><title>${task}: ${outcome}</title>${box}${label}</a
    >`;
  }

  /** A curve from column to column, straight on through those between. */
  #path({ from, to, through }: Route): string {
    const stops = [from, ...through, to].map((one) => (typeof one === 'string' ? this.#layout.places.get(one) : one));
    return stops
      .flatMap((stop, index) => {
        if (stop === undefined) return [];
        const [{ left, right }, y, before] = [this.#column(stop), stop.row * ROW, stops[index - 1]];
        if (before === undefined) return [`M${points(right, y)}`];
        const bend = left - GAP / 2;
        const curve = `C${points(bend, before.row * ROW, bend, y, left, y)}`;
        return index === stops.length - 1 ? [curve] : [curve, `H${points(right)}`];
      })
      .join('');
  }

  #column({ column }: Placed): { readonly left: number; readonly right: number } {
    return this.#columns[column] ?? { left: 0, right: 0 };
  }
}

const points = (...values: readonly number[]): string =>
  values.map((one) => String(Math.round(one * 10) / 10)).join(' ');

const cut = (name: string): string => (name.length <= MAX_CHARS ? name : `${name.slice(0, MAX_CHARS - 1)}…`);
