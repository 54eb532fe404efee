import { execFileSync, spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { graphText, type GraphNode } from '../../lib/report/graph.ts';

/** Everything that means something to Mermaid, DOT, Markdown, HTML or JSON. */
const NASTY = [
  'a "b" <i>&amp;</i>',
  "it's #35; `c` \\N \\",
  'end\nsubgraph x',
  '[[x]] {y} |z| %% --> ]',
  'ünï ✓ 日本 —',
];

const nodes: readonly GraphNode[] = NASTY.map((text, index) => ({
  id: `say(text=${JSON.stringify(text)})`,
  task: 'say',
  summary: text,
  needs: index === 0 ? [] : [`say(text=${JSON.stringify(NASTY[index - 1])})`],
  goal: index === NASTY.length - 1,
}));
const ids = nodes.map(({ id }) => id);

test('json is the nodes as they are', () => {
  expect(JSON.parse(graphText.json(nodes))).toEqual({ nodes });
});

describe('mermaid', () => {
  /** Flowchart syntax as far as it is used: https://mermaid.js.org/syntax/flowchart.html */
  const LINE = /^ {2}(?:(t\d+)(?:\["([^"]*)"\]|\(\["([^"]*)"\]\))|(t\d+) --> (t\d+))$/;

  test('every line is a node or an arrow, every label reads as its task', () => {
    const [head, ...lines] = graphText.mermaid(nodes).trimEnd().split('\n');
    expect(head).toBe('flowchart LR');
    const found = lines.map((line) => LINE.exec(line));
    expect(found).not.toContain(null);
    const labels = found.flatMap((match) => match?.[2] ?? match?.[3] ?? []);
    // Nothing but entities and plain characters is left, so that nothing can be syntax, Markdown or HTML.
    for (const label of labels) expect(label.replace(/#\d+;/g, '')).toMatch(/^[\p{L}\p{N} .:(),=@/-]*$/u);
    expect(labels.map((label) => label.replace(/#(\d+);/g, (_, code) => String.fromCodePoint(Number(code))))).toEqual(
      ids,
    );
    expect(found.flatMap((match) => (match?.[4] === undefined ? [] : [[match[4], match[5]]]))).toEqual(
      ids.slice(1).map((_, index) => [`t${String(index)}`, `t${String(index + 1)}`]),
    );
  });
});

const graphviz = spawnSync('dot', ['-V']).error === undefined;
test.skipIf(!graphviz)(`dot reads as the same graph to Graphviz${graphviz ? '' : ' (skipped: no graphviz)'}`, () => {
  const svg = execFileSync('dot', ['-Tsvg'], { input: graphText.dot(nodes), encoding: 'utf8' });
  const decode = (text: string): string =>
    text
      .replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)))
      .replace(/&#x([\da-f]+);/gi, (_, code) => String.fromCodePoint(parseInt(String(code), 16)))
      .replaceAll('&lt;', '<')
      .replaceAll('&gt;', '>')
      .replaceAll('&quot;', '"')
      .replaceAll('&amp;', '&');
  const texts = [...svg.matchAll(/<text [^>]*>([^<]*)<\/text>/g)].map(([, text = '']) =>
    decode(text).replaceAll('\u00a0', ' '),
  );
  expect(texts).toEqual(ids);
  const plain = execFileSync('dot', ['-Tplain'], { input: graphText.dot(nodes), encoding: 'utf8' });
  const edges = [...plain.matchAll(/^edge (t\d+) (t\d+)/gm)].map(([, from, to]) => [from, to]);
  expect(edges).toEqual(ids.slice(1).map((_, index) => [`t${String(index)}`, `t${String(index + 1)}`]));
});

test('ten thousand tasks are as many lines', () => {
  const many = Array.from({ length: 10_000 }, (_, at) => ({
    id: `t${String(at)}`,
    task: 't',
    summary: '',
    needs: at === 0 ? [] : [`t${String(at - 1)}`],
    goal: false,
  }));
  expect(graphText.dot(many).split('\n')).toHaveLength(4 + 10_000 + 9_999 + 1);
});
