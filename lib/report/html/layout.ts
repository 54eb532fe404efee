/** A node of a graph that is to be drawn; `needs` are ids of nodes on its left. */
export interface LayoutNode {
  readonly id: string;
  readonly needs: readonly string[];
}

/** Where a node lies: its column (what it needs lies further left), and its middle from the top in rows. */
export interface Placed {
  readonly column: number;
  readonly row: number;
}

/** A joint of an edge takes so much of a row. */
const JOINT = 0.3;

/** An edge runs through these places, one in each column between its ends. */
export interface Route {
  readonly from: string;
  readonly to: string;
  readonly through: readonly Placed[];
}

export interface Layout {
  readonly places: ReadonlyMap<string, Placed>;
  readonly routes: readonly Route[];
  readonly rows: number;
}

/** How often columns are put in order by their neighbours: left to right, and back. */
const SWEEPS = 8;

/** A node, or a joint at which a long edge passes a column. */
interface Cell {
  readonly key: string;
  readonly column: number;
  /** In rows. */
  readonly height: number;
  /** Cells in the columns beside it. */
  readonly left: Cell[];
  readonly right: Cell[];
  row: number;
}

/** Draws a graph in layers (Sugiyama): columns by the longest way, joints for long edges, rows by barycentres. */
export function layout(nodes: readonly LayoutNode[]): Layout {
  const columns = columnsOf(nodes);
  const cells = new Map<string, Cell>();
  const cell = (key: string, column: number, height: number): Cell => {
    const made: Cell = { key, column, height, left: [], right: [], row: 0 };
    cells.set(key, made);
    return made;
  };
  for (const { id } of nodes) cell(`node ${id}`, columns.get(id) ?? 0, 1);
  const routes = nodes.flatMap(({ id: to, needs }) =>
    needs.flatMap((from) => {
      const start = cells.get(`node ${from}`);
      const end = cells.get(`node ${to}`);
      if (start === undefined || end === undefined) return [];
      const joints = Array.from({ length: end.column - start.column - 1 }, (_, index) =>
        cell(`joint ${from} ${to} ${String(index)}`, start.column + index + 1, JOINT),
      );
      [start, ...joints].forEach((one, index) => join(one, joints[index] ?? end));
      return [{ from, to, through: joints }];
    }),
  );
  const rows = arrange([...cells.values()]);
  return { places: new Map(nodes.map(({ id }) => [id, cells.get(`node ${id}`) as Placed])), routes, rows };
}

function join(left: Cell, right: Cell): void {
  left.right.push(right);
  right.left.push(left);
}

/** Needs without those that follow from others: what `a` needs through `b` anyway is no arrow of its own. */
export function reduced(nodes: readonly LayoutNode[]): readonly LayoutNode[] {
  const behind = new Map<string, ReadonlySet<string>>();
  return nodes.map(({ id, needs }) => {
    const far = new Set(needs.flatMap((need) => [...(behind.get(need) ?? [])]));
    behind.set(id, new Set([...needs, ...far]));
    return { id, needs: needs.filter((need) => !far.has(need)) };
  });
}

/** The longest way from a node without needs. Nodes come after their needs, as in a plan. */
function columnsOf(nodes: readonly LayoutNode[]): ReadonlyMap<string, number> {
  const columns = new Map<string, number>();
  for (const { id, needs } of nodes)
    columns.set(id, Math.max(0, ...needs.map((need) => (columns.get(need) ?? -1) + 1)));
  return columns;
}

/** Gives every cell its row, and keeps the order with the fewest crossings that it met; the rows of the highest column. */
function arrange(cells: readonly Cell[]): number {
  const columns: Cell[][] = [];
  for (const one of cells) (columns[one.column] ??= []).push(one);
  for (const column of columns) number(column);
  let best = { crossings: crossings(columns), rows: cells.map(({ row }) => row) };
  for (let sweep = 0; sweep < SWEEPS && best.crossings > 0; sweep++) {
    const side = sweep % 2 === 0 ? 'left' : 'right';
    for (const column of sweep % 2 === 0 ? columns : columns.toReversed()) {
      const weight = new Map(column.map((one) => [one, barycentre(one, side)]));
      number(column.sort((a, b) => (weight.get(a) ?? 0) - (weight.get(b) ?? 0)));
    }
    const found = crossings(columns);
    if (found < best.crossings) best = { crossings: found, rows: cells.map(({ row }) => row) };
  }
  cells.forEach((one, index) => (one.row = best.rows[index] ?? 0));
  const most = Math.max(0, ...columns.map(heightOf));
  // Short columns stand in the middle.
  for (const column of columns) for (const one of column) one.row += (most - heightOf(column)) / 2;
  return most;
}

const heightOf = (column: readonly Cell[]): number => column.reduce((sum, { height }) => sum + height, 0);

function number(column: readonly Cell[]): void {
  let top = 0;
  for (const one of column) {
    one.row = top + one.height / 2;
    top += one.height;
  }
}

function barycentre(one: Cell, side: 'left' | 'right'): number {
  const rows = one[side].map(({ row }) => row);
  return rows.length === 0 ? one.row : rows.reduce((sum, row) => sum + row, 0) / rows.length;
}

/** Pairs of edges between neighbouring columns that cross. */
function crossings(columns: readonly (readonly Cell[])[]): number {
  let count = 0;
  for (const column of columns) {
    const edges = column.flatMap((one) => one.right.map((to) => [one.row, to.row] as const));
    for (const [index, [a, b]] of edges.entries())
      for (const [c, d] of edges.slice(index + 1)) if ((a - c) * (b - d) < 0) count++;
  }
  return count;
}
