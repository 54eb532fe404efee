import { explainFailure } from '../explain.ts';
import type { StoryStep, StoryTask, StoryUndo } from '../story.ts';
import type { Drawable } from './graph.ts';
import { html, type Markup } from './markup.ts';
import { Axis, took } from './timeline.ts';

/** Steps of one task that a page shows: a wait may ask a thousand times. */
const MAX_STEPS = 300;

/** A sign for each outcome, so that colour is not all that tells them apart. */
const SIGNS: { readonly [outcome: string]: string } = {
  done: '✓',
  fresh: '=',
  restored: '=',
  failed: '✗',
  cancelled: '■',
  unfinished: '…',
  'not run': '–',
};

/** The word for an outcome, with its sign. */
export const badge = (outcome: string): Markup =>
  html`<span class="badge ${outcome.replaceAll(' ', '-')}"
    ><span aria-hidden="true">${SIGNS[outcome] ?? '•'}</span> ${outcome}</span
  >`;

/** When everything happened: a bar for each task, its steps on expansion. Failed tasks are open. */
export function timeline(tasks: readonly Drawable[], totalMs: number, logOf: (id: string) => string | null): Markup {
  const axis = new Axis(totalMs);
  const ran = tasks.filter(({ outcome }) => outcome !== 'not run').toSorted((a, b) => a.fromMs - b.fromMs);
  const rest = tasks.filter(({ outcome }) => outcome === 'not run');
  return html`<div class="timeline">
    <div class="row head"><span></span>${axis.head()}<span></span></div>
    ${ran.map((task) => taskRow(task, axis, logOf))}${rest.length === 0 ? null : html`<p class="dim" id="not-run">Not run: ${rest.map(({ task, anchor }, at) => html`${at === 0 ? '' : ', '}<span id="${anchor}">${task}</span>`)}</p>`}
  </div>`;
}

function taskRow(task: Drawable, axis: Axis, logOf: (id: string) => string | null): Markup {
  const { anchor, outcome, fromMs, toMs } = task;
  const open = outcome === 'failed' || task.undos.length > 0 ? html` open` : null;
  const row = html`<span class="name">${badge(outcome)} <b>${task.task}</b></span
    >${axis.bar(task, outcome.replaceAll(' ', '-'))}<span class="took">${took(toMs - fromMs)}</span>`;
  return html`<details id="${anchor}" class="task" ${open}>
    <summary class="row">${row}</summary>
    ${inside(task, axis, logOf)}
  </details>`;
}

function inside({ steps, undos, needs, failure }: StoryTask, axis: Axis, logOf: (id: string) => string | null): Markup {
  const shown = steps.length <= MAX_STEPS ? steps : [...steps.slice(0, MAX_STEPS / 2), ...steps.slice(-MAX_STEPS / 2)];
  const left = steps.length - shown.length;
  const rows = shown.map((step) => stepRow(step, axis, logOf(step.id)));
  if (left > 0) rows.splice(MAX_STEPS / 2, 0, html`<li class="dim">${left} more steps are in the journal</li>`);
  return html`<div class="inside">
    ${needs.length === 0 ? null : html`<p class="dim">needs ${needs.join(', ')}</p>`}${
      failure !== null && steps.every((step) => step.failure === null)
        ? html`<p class="bad">${explainFailure(failure).message}</p>`
        : null
    }${
      steps.length === 0 && undos.length === 0
        ? html`<p class="dim">No step was performed.</p>`
        : html`<ol class="steps">
            ${rows}${undos.map((undo) => undoRow(undo, axis))}
          </ol>`
    }
  </div>`;
}

function stepRow(step: StoryStep, axis: Axis, log: string | null): Markup {
  const { place, effect, outcome, failure, line, undo } = step;
  const prefix = `${effect} ${place}: `;
  const text = line.startsWith(prefix) ? line.slice(prefix.length) : line;
  const what = html`${badge(outcome)} <span class="effect ${effect}">${effect}</span>
    <span class="place">${place}</span>`;
  const more = [
    failure === null ? null : html`<p class="bad">${explainFailure(failure).message}</p>`,
    undo.length === 0 ? null : html`<p class="undo">${undo.map((one) => html`<span>↩ ${one}</span>`)}</p>`,
    log === null ? null : html`<p><a href="#${log}">its output</a></p>`,
  ];
  return html`<li class="step">${rowOf(what, step, axis, outcome)}<code class="line">${text}</code>${more}</li>`;
}

function undoRow(undo: StoryUndo, axis: Axis): Markup {
  const { lines, failures } = undo;
  const [how, word] = failures.length === 0 ? ['put-back', 'put back'] : ['failed', 'NOT put back'];
  const what = html`<span class="badge ${how}"><span aria-hidden="true">↩</span> ${word}</span>`;
  return html`<li class="step">
    ${rowOf(what, undo, axis, how)}${lines.map((line) => html`<code class="line">${line}</code>`)}${failures.map(
      (failure) => html`<p class="bad">${explainFailure(failure).message}</p>`,
    )}
  </li>`;
}

/** What it is, when it was, how long it took; its id without the task, which stands above. */
function rowOf(what: Markup, span: StoryStep | StoryUndo, axis: Axis, kind: string): Markup {
  const pass = 'iteration' in span && span.iteration !== '' ? ` pass ${span.iteration}` : '';
  const id = span.id.slice(span.id.lastIndexOf('/') + 1);
  return html`<div class="row">
    <span class="name">${what} <span class="id">${id}${pass}</span></span
    >${axis.bar(span, kind)}
    <span class="took">${took(span.toMs - span.fromMs)}</span>
  </div>`;
}
