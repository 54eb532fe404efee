import { explainFailure } from './explain.ts';
import type { Span, Story, StoryStep, StoryTask, StoryUndo } from './story.ts';

/** An event of the Trace Event Format: complete (`X`, times in µs) or metadata (`M`). */
type TraceEvent =
  | {
      readonly ph: 'X';
      readonly name: string;
      readonly cat: string;
      readonly pid: 1;
      readonly tid: number;
      readonly ts: number;
      readonly dur: number;
      readonly args: { readonly [name: string]: string };
    }
  | {
      readonly ph: 'M';
      readonly name: 'process_name' | 'thread_name' | 'thread_sort_index';
      readonly pid: 1;
      readonly tid: number;
      readonly args: { readonly name: string } | { readonly sort_index: number };
    };

/**
 * A run as chrome://tracing and Perfetto read it: one lane for each task that ran at the same time as another, its
 * steps and undos within it; steps that overlap in one task (`parallel`) continue in lanes further down.
 */
export function profileJson(story: Story): string {
  const ran = story.tasks.filter(({ outcome }) => outcome !== 'not run');
  const slots = new Lanes();
  const laneOf = new Map(sorted(ran).map((task) => [task.task, slots.take(task)]));
  const beside = new Lanes();
  const events = ran.flatMap((task) => {
    const lane = laneOf.get(task.task) ?? 0;
    const own = new Lanes();
    const inner = sorted([...task.steps, ...task.undos]).map((span) => {
      const first = own.take(span) === 0;
      return spanEvent(span, first ? lane : slots.count + beside.take(span));
    });
    return [taskEvent(task, lane), ...inner];
  });
  const lanes = [...slots.names('slot'), ...beside.names('beside')];
  const all = [
    metadata(0, 'process_name', { name: `slipway ${story.goals.join(' ')}` }),
    ...laneNames(lanes),
    ...events,
  ];
  return `[\n${all.map((event) => JSON.stringify(event)).join(',\n')}\n]\n`;
}

/** Spans that overlap lie in different lanes, each in the lowest that is free. */
class Lanes {
  readonly #endsMs: number[] = [];

  get count(): number {
    return this.#endsMs.length;
  }

  take({ fromMs, toMs }: Span): number {
    const free = this.#endsMs.findIndex((endMs) => endMs <= fromMs);
    const lane = free === -1 ? this.#endsMs.length : free;
    this.#endsMs[lane] = toMs;
    return lane;
  }

  names(what: string): readonly string[] {
    return this.#endsMs.map((_, lane) => `${what} ${String(lane + 1)}`);
  }
}

const sorted = <S extends Span>(spans: readonly S[]): readonly S[] =>
  spans.toSorted((a, b) => a.fromMs - b.fromMs || b.toMs - a.toMs);

function laneNames(lanes: readonly string[]): readonly TraceEvent[] {
  return lanes.flatMap((name, lane) => [
    metadata(lane, 'thread_name', { name }),
    metadata(lane, 'thread_sort_index', { sort_index: lane }),
  ]);
}

function metadata(
  tid: number,
  name: Extract<TraceEvent, { ph: 'M' }>['name'],
  args: Extract<TraceEvent, { ph: 'M' }>['args'],
): TraceEvent {
  return { ph: 'M', name, pid: 1, tid, args };
}

const taskEvent = (task: StoryTask, tid: number): TraceEvent =>
  complete(task.task, 'task', tid, task, { outcome: task.outcome, ...why(task.failure) });

function spanEvent(span: StoryStep | StoryUndo, tid: number): TraceEvent {
  if (!('line' in span))
    return complete(`put back ${span.id}`, 'undo', tid, span, { id: span.id, steps: span.lines.join('\n') });
  const { id, iteration, place, effect, outcome, failure } = span;
  const pass = iteration === '' ? {} : { iteration };
  return complete(span.line, effect, tid, span, { id, ...pass, place, effect, outcome, ...why(failure) });
}

const why = (failure: StoryStep['failure']): { readonly failure?: string } =>
  failure === null ? {} : { failure: explainFailure(failure).message };

function complete(
  name: string,
  cat: string,
  tid: number,
  { fromMs, toMs }: Span,
  args: { readonly [name: string]: string },
): TraceEvent {
  return {
    ph: 'X',
    name,
    cat,
    pid: 1,
    tid,
    ts: Math.round(fromMs * 1000),
    dur: Math.round((toMs - fromMs) * 1000),
    args,
  };
}
