/** One task of a graph: a node of a plan, or a declared task. */
export interface GraphNode {
  readonly id: string;
  readonly task: string;
  readonly summary: string;
  /** Ids of the nodes that finish first. */
  readonly needs: readonly string[];
  /** It was asked for; the others are needed by such. */
  readonly goal: boolean;
}

/** Prints a graph; an arrow leads from a task to those that need it. */
export const graphText: {
  readonly [F in 'mermaid' | 'dot' | 'json']: (nodes: readonly GraphNode[]) => string;
} = { mermaid, dot, json };

function mermaid(nodes: readonly GraphNode[]): string {
  return lines([
    'flowchart LR',
    ...nodes.map(({ id, goal }, index) => {
      const label = `"${mermaidLabel(id)}"`;
      return `  t${String(index)}${goal ? `([${label}])` : `[${label}]`}`;
    }),
    ...edges(nodes).map(([from, to]) => `  ${from} --> ${to}`),
  ]);
}

/** All but plain characters as entities: Mermaid reads quotes, Markdown, HTML and `#` inside of quoted labels, too. */
const mermaidLabel = (text: string): string =>
  Array.from(text, (char) =>
    /[\p{L}\p{N} .:(),=@/-]/u.test(char) ? char : `#${String(char.codePointAt(0) ?? 0)};`,
  ).join('');

function dot(nodes: readonly GraphNode[]): string {
  return lines([
    'digraph tasks {',
    '  rankdir=LR;',
    '  node [shape=box];',
    ...nodes.map(
      ({ id, summary, goal }, index) =>
        `  t${String(index)} [label=${dotString(id)}, tooltip=${dotString(summary)}${goal ? ', style=bold' : ''}];`,
    ),
    ...edges(nodes).map(([from, to]) => `  ${from} -> ${to};`),
    '}',
  ]);
}

/** In quotes DOT knows `\"`; a label reads `\\`, `\n`, `\N` and entities on top of it. */
const dotString = (text: string): string =>
  `"${text
    .replaceAll('&', '&amp;')
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replace(/[\x00-\x1f\x7f]/g, ' ')}"`;

function json(nodes: readonly GraphNode[]): string {
  return `${JSON.stringify({ nodes })}\n`;
}

/** Nodes are named `t0`, `t1`, …: no text of a task can be taken for syntax. */
function edges(nodes: readonly GraphNode[]): readonly (readonly [string, string])[] {
  const names = new Map(nodes.map(({ id }, index) => [id, `t${String(index)}`]));
  return nodes.flatMap(({ id, needs }) => needs.map((need) => [names.get(need) ?? '', names.get(id) ?? ''] as const));
}

const lines = (all: readonly string[]): string => `${all.join('\n')}\n`;
