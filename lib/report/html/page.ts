import { createHash } from 'node:crypto';
import type { Story, StoryTask } from '../story.ts';
import { failures } from './failures.ts';
import { graphSvg } from './graph.ts';
import { html, Markup } from './markup.ts';
import { STYLE } from './style.ts';
import { badge, timeline } from './tasks.ts';
import { took } from './timeline.ts';

/** As a dry run prints it. */
const DIGEST_DIGITS = 12;

/** What a step printed, or the end of it. */
export interface StepLog {
  readonly id: string;
  readonly text: string;
  /** Bytes before it that are left out. */
  readonly leftOutBytes: number;
}

/**
 * A run as one page that stands alone: no script, no request, one style that the policy names by its hash. Logs come
 * in the order in which they are to be read.
 */
export function reportHtml(story: Story, logs: readonly StepLog[]): string {
  const tasks = story.tasks.map((task, at) => ({ ...task, anchor: `task-${String(at + 1)}` }));
  const anchors = new Map(logs.map(({ id }, at) => [id, `log-${String(at + 1)}`]));
  const hash = createHash('sha256').update(STYLE).digest('base64');
  const policy = `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`;
  const steps = tasks.flatMap((task) => task.steps);
  const lines = new Map(steps.map(({ id, line }) => [id, line]));
  const failed = new Set(steps.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id));
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${policy}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="referrer" content="no-referrer" />
        <meta name="generator" content="slipway" />
        <title>${story.goals.join(', ')}: ${story.outcome}</title>
        ${new Markup(`<style>${STYLE}</style>`)}
      </head>
      <body>
        <main>
          ${head(story)} ${failures(story, tasks, anchors)}
          <section aria-labelledby="graph">
            <h2 id="graph">Graph</h2>
            ${graphSvg(tasks)}
          </section>
          <section aria-labelledby="timeline">
            <h2 id="timeline">Timeline</h2>
            <p class="dim">Open a task to see its steps; ↩ is how a change is put back.</p>
            ${timeline(tasks, story.durationMs, (id) => anchors.get(id) ?? null)}
          </section>
          <section aria-labelledby="logs">
            <h2 id="logs">Logs</h2>
            ${
              logs.length === 0
                ? html`<p class="dim">No step printed anything.</p>`
                : logs.map((log) =>
                    logEntry(log, lines.get(log.id) ?? '', anchors.get(log.id) ?? '', failed.has(log.id)),
                  )
            }
          </section>
        </main>
      </body>
    </html> `.text;
}

function head(story: Story): Markup {
  const facts: readonly (readonly [string, string | null])[] = [
    ['typed', story.commandLine],
    ['who', story.who],
    ['when', `${story.at.slice(0, 19).replace('T', ' ')} UTC`],
    ['took', took(story.durationMs)],
    ['commit', story.commit],
    ['target', story.targets.length === 0 ? 'here' : story.targets.join(', ')],
    ['run', story.run],
    ['plan', story.digest.slice(0, DIGEST_DIGITS)],
  ];
  const status = story.status === null ? '' : ` · status ${String(story.status)}`;
  return html`<header class="${tone(story)}">
    <h1>${story.goals.join(', ')}</h1>
    <p class="verdict"><b>${story.outcome.replaceAll('-', ' ')}</b>${status} · ${counts(story.tasks)}</p>
    <dl>
      ${facts.map(([name, value]) =>
        value === null || value === ''
          ? null
          : html`<div>
              <dt>${name}</dt>
              <dd>${value}</dd>
            </div>`,
      )}
    </dl>
  </header>`;
}

function tone({ outcome }: Story): string {
  if (outcome === 'done') return 'good';
  return outcome === 'running' || outcome === 'recovered' ? 'open' : 'bad-run';
}

function counts(tasks: readonly StoryTask[]): string {
  const names = ['done', 'fresh', 'restored', 'failed', 'cancelled', 'unfinished', 'not run'] as const;
  return names
    .map((name) => [name, tasks.filter(({ outcome }) => outcome === name).length] as const)
    .flatMap(([name, count]) => (count === 0 ? [] : [`${String(count)} ${name}`]))
    .join(' · ');
}

function logEntry({ id, text, leftOutBytes }: StepLog, line: string, anchor: string, failed: boolean): Markup {
  return html`<details class="log" id="${anchor}" ${failed ? html`open` : null}>
    <summary>${failed ? badge('failed') : null} ${line} <span class="id">${id}</span></summary>
    ${leftOutBytes === 0 ? null : html`<p class="dim">${leftOutBytes} bytes before this are left out.</p>`}
    <pre tabindex="0">${text}</pre>
  </details>`;
}
