import { servicesOf } from '../engine/services.ts';
import type { RunEvent } from '../model/event.ts';
import type { Failure } from '../model/failure.ts';
import type { Plan } from '../model/plan.ts';
import type { StepId } from '../model/ref.ts';
import { HERE, itemsIn } from '../model/step.ts';
import { paintWith } from './colors.ts';
import { armedWords } from './dry-run.ts';
import { epilogue } from './epilogue.ts';
import { messageLines } from './explain.ts';
import { neutral } from './neutral.ts';
import { duration, Outcomes } from './outcome.ts';
import { progressWords } from './progress.ts';
import type { Around, Reporter } from './reporter.ts';
import { stoppingWords } from './stopping.ts';
import { upLine } from './up.ts';

/** The shortest time between two lines of one step's progress, and before the first, in ms. */
const PROGRESS_MS = 5_000;

/** Where the lines of a run go. */
export interface Sink {
  /** A line of a task, or of a service that one of its steps started. */
  line(task: string, text: string, service?: string): void;
  /** The line with which a step begins. */
  begin(task: string, text: string): void;
  /** A task's last line. */
  end(task: string, text: string): void;
  /** A line of the run itself. */
  say(text: string): void;
  /** What stands at the end of the run. */
  close(lines: readonly string[], outcomes: Outcomes): void;
  /** The task of which the output stands right above. */
  readonly whole: string | null;
}

export interface TellOptions {
  readonly color: boolean;
  readonly plan: Plan;
  readonly around: Around;
  readonly nowMs?: () => number;
}

/** Tells a run as lines, every one as it comes. */
export function tellTo(sink: Sink, { color, plan, around, nowMs = () => performance.now() }: TellOptions): Reporter {
  const outcomes = new Outcomes();
  /** A run that is gone on with asks the device what became of a switch, and arms none. */
  let resumed = false;
  const paint = paintWith(color);
  const services = servicesHere(plan);
  const { standIns } = servicesOf(plan);
  const of = (id: StepId): string => outcomes.taskOf(id);

  /** When each step's progress was last told, or first could have been. */
  const toldMs = new Map<StepId, number>();
  const progressed = (event: Extract<RunEvent, { readonly type: 'step-progress' }>): void => {
    const [ms, last] = [nowMs(), toldMs.get(event.id)];
    if (last !== undefined && ms - last < PROGRESS_MS) return;
    toldMs.set(event.id, ms);
    if (last !== undefined) sink.line(of(event.id), `  ${progressWords(event)}`);
  };

  const failed = (task: string, what: string, failure: Failure): void => {
    const [message = '', ...more] = messageLines(failure);
    sink.line(task, paint('red', `${what}: ${message}`));
    for (const text of more) sink.line(task, `  ${text}`);
  };

  const tell = (event: RunEvent): void => {
    switch (event.type) {
      case 'run-resumed':
        resumed = true;
        return;
      case 'run-stopping':
        return sink.say(paint('yellow', stoppingWords(event.goesOn)));
      case 'step-started':
        return sink.begin(event.task, event.line);
      case 'step-progress':
        return progressed(event);
      case 'step-failed':
        return failed(of(event.id), 'failed', event.failure);
      case 'step-undone':
        return sink.line(of(event.id), `↩ ${event.line}`);
      case 'undo-failed':
        return failed(of(event.id), 'not put back', event.failure);
      case 'scope-entered':
        if (event.scope.kind !== 'deadMan' || resumed) return;
        return sink.line(of(event.id), `armed: ${armedWords(event.scope.place, event.scope.leaseMs)}`);
      case 'task-waits':
        return sink.line(event.task, `waits for ${event.holder}, which makes the same files`);
      case 'task-up':
        return plan.goals.includes(event.task) ? sink.line(event.task, upLine(plan, event.task)) : undefined;
      case 'task-retried':
        return sink.line(event.task, 'again');
      case 'task-finished':
        // In a watch services outlive the run: that they are up was all there was to tell.
        if (event.outcome === 'done' && standIns.has(event.task)) return;
        if (event.outcome === 'fresh') return sink.end(event.task, paint('dim', 'fresh'));
        return sink.end(event.task, `${event.outcome} · ${duration(event.durationMs)}`);
      case 'run-finished':
        return sink.close(epilogue(outcomes, plan, { color, around, alreadyShown: sink.whole }), outcomes);
      default:
    }
  };

  return {
    event(event) {
      const output = outcomes.add(event, 0);
      if ('id' in event)
        for (const one of output) sink.line(of(event.id), `  ${neutral(one, color)}`, services.get(event.id));
      tell(event);
    },
    close: () => Promise.resolve(),
  };
}

/** Services that are started `here`, by the step that starts them: they all print while one task holds them. */
export function servicesHere(plan: Plan): ReadonlyMap<StepId, string> {
  const items = plan.nodes.flatMap(({ body }) => [...itemsIn(body)]);
  const starts = items.flatMap((item) =>
    item.type === 'step' && item.kind === 'service' && item.place === HERE ? [item] : [],
  );
  return new Map(starts.flatMap(({ id, args: { name } }) => (typeof name === 'string' ? [[id, name] as const] : [])));
}
