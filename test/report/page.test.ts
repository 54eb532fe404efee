import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { layout, reduced } from '../../lib/report/html/layout.ts';
import { html } from '../../lib/report/html/markup.ts';
import { reportHtml, type StepLog } from '../../lib/report/html/page.ts';
import { storyOf, type Story } from '../../lib/report/story.ts';
import { Browser, NO_BROWSER, PALE_TEXTS } from './browser.ts';
import { line, planOf, ranTask, toldRun } from './runs.ts';

const NASTY = `</code></style></script><script>alert(1)</script><img src=x onerror=alert(2)> "' &amp; \x1b[31mred\x1b[0m \u202egnp.exe`;
const NASTY_SHOWN = `</code></style></script><script>alert(1)</script><img src=x onerror=alert(2)> "' &amp; red gnp.exe`;

/** `count` tasks, each needing up to three of those before it. */
function many(count: number): Story {
  const ids = Array.from({ length: count }, (_, at) => `task-with-a-name:${String(at)}`);
  const needs = (at: number): string[] => [at - 1, at - 4, at - 9].flatMap((one) => ids[one] ?? []);
  const plan = planOf(
    ids.map((id, at) => ({ id, needs: needs(at) })),
    ids.slice(-1),
  );
  const lines = ids.flatMap((id, at) => ranTask(id, at * 10, at * 10 + 35));
  return storyOf(
    toldRun(plan, [
      ...lines,
      line(9000, { type: 'run-finished', run: 'r', outcome: 'done', status: 0, durationMs: 9000 }),
    ]),
  );
}

/** A run in which everything went wrong, told in texts that want to be markup. */
function failed(): Story {
  const failure = { reason: 'exit-non-zero', command: NASTY, exitCode: 1, tail: ['one', NASTY] } as const;
  const goal = `ship(text=${JSON.stringify(NASTY)})`;
  const id = `${goal}/1`;
  const plan = planOf(
    [{ id: 'build' }, { id: goal, needs: ['build'] }, { id: 'never', needs: [goal] }],
    [goal, 'never'],
  );
  return storyOf(
    toldRun(
      plan,
      [
        ...ranTask('build', 0, 500),
        line(500, { type: 'task-started', task: goal }),
        line(510, {
          type: 'step-started',
          id,
          task: goal,
          place: 'here',
          effect: 'irreversible',
          line: `irreversible here: ${NASTY}`,
        }),
        line(900, { type: 'step-failed', id, failure }),
        line(910, { type: 'undo-started', id: `${goal}/0`, because: failure }),
        line(920, { type: 'undo-failed', id: `${goal}/0.undo.1`, failure }),
        line(930, { type: 'task-finished', task: goal, outcome: 'failed', durationMs: 430, failure }),
        line(940, { type: 'run-finished', run: 'r', outcome: 'not-put-back', status: 4, durationMs: 940 }),
      ],
      { who: NASTY, commandLine: NASTY, targets: [NASTY] },
    ),
  );
}

const LOGS: readonly StepLog[] = [
  {
    id: 'build/1',
    text: `${NASTY}\nprogress 10%\rprogress 100%\n\x1b]0;title\x07${'x'.repeat(3000)}`,
    leftOutBytes: 17,
  },
];

test('markup escapes every text, wherever it stands', () => {
  expect(html`<a href="${'"><b>'}">${["it's", 1, null, html`<i>${'&'}</i>`]}</a>`.text).toBe(
    '<a href="&quot;&gt;&lt;b&gt;">it&#39;s1<i>&amp;</i></a>',
  );
  expect(html`${'a\x1b[31mb\x1b[0m\x00\nc'}`.text).toBe('ab\nc');
});

test('a page holds no markup from a run, no script, no address and no style of an element’s own', () => {
  const page = reportHtml(failed(), LOGS);
  const tags = [...page.matchAll(/<(?:"[^"]*"|[^>])*>/g)].map(([tag]) => tag);
  const strange =
    /^<(?:script|img|iframe|link|object|embed|base|form|audio|video)|[\s"](?:style|on\w+|src|srcset|action)\s*=/i;
  expect(tags.filter((tag) => strange.test(tag.replace(/="[^"]*"/g, '=')))).toEqual([]);
  const links = [...page.matchAll(/href="([^"]*)"/g)].map(([, to = '']) => to);
  expect(links.filter((to) => !/^#[a-z0-9-]+$/.test(to))).toEqual([]);
  expect(page).not.toMatch(/@import|url\((?!#)/);
  expect(page.match(/https?:/g)).toBeNull();
  expect(page).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f\u202e]/);
  expect(page.match(/<style>/g)).toHaveLength(1);
});

describe('the layout of a graph', () => {
  test('needs lie on the left, nothing lies on anything, and a cut ladder has no crossing', () => {
    const nodes = ['a', 'b', 'c', 'd'].flatMap((id, at, all) => [
      { id, needs: all.slice(0, at).filter((_, index) => index >= at - 2) },
    ]);
    const { places, routes } = layout(nodes);
    for (const { from, to, through } of routes) {
      const columns = [places.get(from), ...through, places.get(to)].map((place) => place?.column ?? -1);
      expect(columns).toEqual(columns.map((_, index) => (columns[0] ?? 0) + index));
    }
    const twisted = layout([
      { id: 'a', needs: [] },
      { id: 'b', needs: [] },
      { id: 'x', needs: ['b'] },
      { id: 'y', needs: ['a'] },
    ]);
    const row = (id: string): number => twisted.places.get(id)?.row ?? -1;
    expect(Math.sign(row('a') - row('b'))).toBe(Math.sign(row('y') - row('x')));
  });

  test('needs that follow from others are left out, and only those', () => {
    const nodes = [
      { id: 'a', needs: [] },
      { id: 'b', needs: ['a'] },
      { id: 'c', needs: ['a', 'b'] },
      { id: 'd', needs: ['c', 'a'] },
      { id: 'e', needs: ['a', 'd'] },
    ];
    expect(reduced(nodes).map(({ needs }) => needs)).toEqual([[], ['a'], ['b'], ['c'], ['d']]);
  });
});

describe.skipIf(NO_BROWSER !== null)(`in a browser${NO_BROWSER === null ? '' : ` (skipped: no ${NO_BROWSER})`}`, () => {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'slipway-page-')));
  const pages = { failed: reportHtml(failed(), LOGS), three: reportHtml(many(3), []), sixty: reportHtml(many(60), []) };
  const file = (name: keyof typeof pages): string => join(dir, `${name}.html`);
  let browser: Browser;
  beforeAll(async () => {
    for (const [name, text] of Object.entries(pages)) writeFileSync(join(dir, `${name}.html`), text);
    browser = await Browser.open();
  });
  afterAll(async () => {
    await browser.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const openAll = 'for (const one of document.querySelectorAll("details")) one.open = true';

  test.each(['failed', 'three', 'sixty'] as const)(
    '%s: asks for nothing, complains about nothing, fits, and can be read',
    async (name) => {
      for (const scheme of ['light', 'dark'] as const)
        for (const width of [360, 1200]) {
          const deeds = await browser.visit(file(name), { width, scheme }, async () => {
            await browser.ask(openAll);
            expect(await browser.ask<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
            const { seen, pale } = await browser.ask<{ seen: number; pale: string[] }>(PALE_TEXTS);
            expect(seen).toBeGreaterThan(30);
            expect(pale).toEqual([]);
          });
          expect(deeds).toEqual({ requests: [], complaints: [] });
        }
    },
  );

  test('the two schemes differ, and the style is in force', async () => {
    const ground = async (scheme: 'light' | 'dark'): Promise<string> => {
      let color = '';
      await browser.visit(file('three'), { width: 800, scheme }, async () => {
        color = await browser.ask<string>('getComputedStyle(document.body).backgroundColor');
      });
      return color;
    };
    expect([await ground('light'), await ground('dark')]).toEqual(['rgb(251, 251, 250)', 'rgb(20, 23, 26)']);
  });

  test('tells what went wrong first, in the texts as they are', async () => {
    await browser.visit(file('failed'), { width: 1200, scheme: 'light' }, async () => {
      const text = await browser.ask<string>(`${openAll}; document.body.textContent.replace(/\\s+/g, ' ')`);
      for (const part of [
        NASTY_SHOWN,
        'not put back · status 4 · 1 done · 1 failed · 1 not run',
        '1 NOT put back; finish it with: recover',
        'progress 100%',
        '17 bytes before this are left out',
        'Not run: never',
      ])
        expect(text).toContain(part);
      expect(text).not.toContain('progress 10%p');
      const headings = await browser.ask<string[]>(
        '[...document.querySelectorAll("h2")].map((one) => one.textContent)',
      );
      expect(headings).toEqual(['What went wrong', 'Graph', 'Timeline', 'Logs']);
      expect(await browser.ask<number>('document.querySelectorAll("script, img, [onerror]").length')).toBe(0);
    });
  });

  test('a task opens by keyboard alone, and a node of the graph leads to it', async () => {
    await browser.visit(file('three'), { width: 800, scheme: 'light' }, async () => {
      expect(await browser.ask<boolean>('document.querySelector("details.task").open')).toBe(false);
      await browser.ask('document.querySelector("details.task summary").focus()');
      await browser.press('Enter', 13);
      expect(await browser.ask<boolean>('document.querySelector("details.task").open')).toBe(true);
      await browser.ask('document.querySelectorAll("a.node")[1].focus()');
      await browser.press('Enter', 13);
      expect(await browser.ask<string>('document.querySelector(":target").textContent')).toContain(
        'task-with-a-name:1',
      );
    });
  });

  test('no node of a graph of sixty lies on another, and each of its arrows leads to the right', async () => {
    await browser.visit(file('sixty'), { width: 1200, scheme: 'light' }, async () => {
      const boxes = await browser.ask<number[][]>(
        '[...document.querySelectorAll("a.node rect")].map((one) => { const { left, right, top, bottom } = one.getBoundingClientRect(); return [left, right, top, bottom]; })',
      );
      expect(boxes).toHaveLength(60);
      const [a = 0, b = 1, c = 2, d = 3] = [];
      for (const [index, one] of boxes.entries())
        for (const other of boxes.slice(index + 1)) {
          const apart =
            Number(one[b]) <= Number(other[a]) ||
            Number(other[b]) <= Number(one[a]) ||
            Number(one[d]) <= Number(other[c]) ||
            Number(other[d]) <= Number(one[c]);
          expect(apart).toBe(true);
        }
      const texts = await browser.ask<number>(
        '[...document.querySelectorAll("a.node")].filter((one) => one.querySelector("text").getBBox().width + 12 > one.querySelector("rect").getBBox().width).length',
      );
      expect(texts).toBe(0);
    });
  });

  test('on paper everything is there, unfolded', async () => {
    await browser.visit(file('failed'), { width: 800, scheme: 'light', media: 'print' }, async () => {
      const hidden = await browser.ask<number>(
        '[...document.querySelectorAll("details .steps, details pre")].filter((one) => one.getBoundingClientRect().height === 0).length',
      );
      expect(hidden).toBe(0);
    });
  });
});
