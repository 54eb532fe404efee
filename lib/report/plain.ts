import type { RunEvent } from '../model/event.ts';
import type { Failure } from '../model/failure.ts';
import type { Plan } from '../model/plan.ts';
import type { StepId } from '../model/ref.ts';
import { HERE, itemsIn } from '../model/step.ts';
import { paintWith } from './colors.ts';
import { armedWords } from './dry-run.ts';
import { messageLines } from './explain.ts';
import { duration, epilogue, Outcomes } from './outcome.ts';
import { progressWords } from './progress.ts';
import type { Reporter, Write } from './reporter.ts';

/** The shortest time between two lines of one step's progress, and before the first, in ms. */
const PROGRESS_MS = 5_000;

/** For pipes and logs: every line as it comes, behind the name of its task; what failed stands last and whole. */
export function plainReporter(
  write: Write,
  color: boolean,
  plan: Plan,
  nowMs = (): number => performance.now(),
): Reporter {
  const outcomes = new Outcomes(color);
  const paint = paintWith(color);
  const services = servicesHere(plan);
  const names = [...plan.nodes.map(({ id }) => id), ...services.values()];
  const width = Math.min(24, Math.max(0, ...names.map((name) => name.length)));
  /** The task that printed last, as long as no other has printed since its step began: its output needs no repetition. */
  let whole: string | null = null;
  const line = (task: string, text: string): void => {
    whole = whole === task ? task : null;
    write(`${paint('cyan', task.padEnd(width))} ${paint('dim', '│')} ${text}\n`);
  };

  /** When each step's progress was last told, or first could have been. */
  const toldMs = new Map<StepId, number>();
  const progressed = (event: Extract<RunEvent, { readonly type: 'step-progress' }>): void => {
    const [ms, last] = [nowMs(), toldMs.get(event.id)];
    if (last !== undefined && ms - last < PROGRESS_MS) return;
    toldMs.set(event.id, ms);
    if (last !== undefined) line(outcomes.taskOf(event.id), `  ${progressWords(event)}`);
  };

  const failed = (task: string, what: string, failure: Failure): void => {
    const [message = '', ...more] = messageLines(failure);
    line(task, paint('red', `${what}: ${message}`));
    for (const text of more) line(task, `  ${text}`);
  };

  const tell = (event: RunEvent, output: readonly string[]): void => {
    if ('id' in event) for (const one of output) line(services.get(event.id) ?? outcomes.taskOf(event.id), `  ${one}`);
    switch (event.type) {
      case 'step-started':
        whole = event.task;
        return line(event.task, event.line);
      case 'step-progress':
        return progressed(event);
      case 'step-failed':
        return failed(outcomes.taskOf(event.id), 'failed', event.failure);
      case 'step-undone':
        return line(outcomes.taskOf(event.id), `↩ ${event.line}`);
      case 'undo-failed':
        return failed(outcomes.taskOf(event.id), 'not put back', event.failure);
      case 'scope-entered':
        if (event.scope.kind !== 'deadMan') return;
        return line(outcomes.taskOf(event.id), `armed: ${armedWords(event.scope.place, event.scope.leaseMs)}`);
      case 'task-waits':
        return line(event.task, `waits for ${event.holder}, which makes the same files`);
      case 'task-retried':
        return line(event.task, 'again');
      case 'task-finished':
        if (event.outcome === 'fresh') return line(event.task, paint('dim', 'fresh'));
        return line(event.task, `${event.outcome} · ${duration(event.durationMs)}`);
      case 'run-finished':
        return epilogue(outcomes, plan, { color, alreadyShown: whole }).forEach((text) => write(`${text}\n`));
      default:
    }
  };

  return {
    event: (event) => tell(event, outcomes.add(event, 0)),
    close: () => Promise.resolve(),
  };
}

/** Services that are started `here`, by the step that starts them: they all print while one task holds them. */
function servicesHere(plan: Plan): ReadonlyMap<StepId, string> {
  const items = plan.nodes.flatMap(({ body }) => [...itemsIn(body)]);
  const starts = items.flatMap((item) =>
    item.type === 'step' && item.kind === 'service' && item.place === HERE ? [item] : [],
  );
  return new Map(starts.flatMap(({ id, args: { name } }) => (typeof name === 'string' ? [[id, name] as const] : [])));
}
