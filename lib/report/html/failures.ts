import type { Failure } from '../../model/failure.ts';
import { explainFailure, sharedDeaths, tailOf } from '../explain.ts';
import type { Story } from '../story.ts';
import type { Drawable } from './graph.ts';
import { html, type Markup } from './markup.ts';
import { badge } from './tasks.ts';

/** Last lines of a failure's output that stand beside it; the whole is among the logs. */
const TAIL_LINES = 20;

/** What went wrong: where, why, what it printed last, what to try, and what was put back. Nothing where nothing did. */
export function failures(
  { outcome }: Story,
  tasks: readonly Drawable[],
  anchors: ReadonlyMap<string, string>,
): Markup | null {
  const wrong = ['failed', 'cancelled', ...(outcome === 'cut off' ? ['unfinished'] : [])];
  // What has no failure of its own went wrong with something else that stands here.
  const failed = tasks.filter(
    ({ outcome: one, failure }) => wrong.includes(one) && (failure !== null || one === 'unfinished'),
  );
  if (failed.length === 0) return null;
  const shared = sharedDeaths(failed);
  return html`<section aria-labelledby="failed">
    <h2 id="failed">What went wrong</h2>
    ${failed.map((task) => failureOf(task, anchors, shared.has(task.task)))}
  </section>`;
}

function failureOf(task: Drawable, anchors: ReadonlyMap<string, string>, isShared: boolean): Markup {
  const { outcome, steps, undos, anchor } = task;
  const failure: Failure = task.failure ?? { reason: 'cut-off' };
  const { message, next } = explainFailure(failure);
  const tail = isShared ? [] : tailOf(failure).slice(-TAIL_LINES);
  const step = steps.findLast((one) => one.outcome !== 'done');
  const log = step && anchors.get(step.id);
  const stuck = undos.filter((undo) => undo.failures.length > 0).length;
  const back = undos.filter((undo) => undo.isDone).length;
  const parts = [
    step ? html`<code class="line">${step.line}</code>` : null,
    html`<p class="message">${message}</p>`,
    tail.length === 0 ? null : html`<pre tabindex="0">${tail.join('\n')}</pre>`,
    html`<p>${next}${log === undefined ? null : html` · <a href="#${log}">the log of the step</a>`}</p>`,
    back === 0 ? null : html`<p>${back} ${back === 1 ? 'change was' : 'changes were'} put back.</p>`,
    stuck === 0 ? null : html`<p class="bad"><b>${stuck} NOT put back</b>; finish it with: recover</p>`,
  ];
  return html`<article class="failure">
    <h3>${badge(outcome)} <a href="#${anchor}">${task.task}</a></h3>
    ${parts}
  </article>`;
}
