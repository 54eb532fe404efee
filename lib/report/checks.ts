import type { Check, Reason } from '../model/check.ts';
import type { RunEvent } from '../model/event.ts';
import type { Reporter, Write } from './reporter.ts';

/** The member of the union that may have this reason. */
type Of<R extends Reason['reason'], T = Reason> = T extends { readonly reason: infer U }
  ? R extends U
    ? T
    : never
  : never;

/** The one place where a reason becomes words: they go on where "it runs:" ends. */
const words: { readonly [R in Reason['reason']]: (reason: Of<R>) => string } = {
  forced: () => 'forced',
  'never-ran': () => 'it never ran to its end',
  'failed-last-time': () => 'it failed, or was cut off, last time',
  'edited-meanwhile': ({ path }) => `${path} was altered while it ran last time`,
  'no-steps': () => 'it has no steps of its own',
  'declares-no-inputs': () => 'it declares no inputs',
  'declares-no-outputs': () => 'it declares no outputs',
  'uses-a-secret': () => 'it uses a secret, whose value is in no key',
  acts: ({ step }) => `step ${step} does more than derive files here`,
  input: ({ change, path }) => `input ${path} was ${change}`,
  output: ({ change, path }) => `output ${path} ${change === 'modified' ? 'was modified' : `is ${change}`}`,
  variable: ({ change, name }) => `variable ${name} ${DIFFERENCE[change]}`,
  param: ({ change, name }) => `param ${name} ${DIFFERENCE[change]}`,
  tool: ({ change, name }) => `command ${name} ${change === 'changed' ? 'is another one' : DIFFERENCE[change]}`,
  'need-value': ({ change, step }) => `the value of ${step} ${DIFFERENCE[change]}`,
  'need-output': ({ change, need }) => `what ${need} makes ${DIFFERENCE[change]}`,
  step: ({ change, step, parts }) => `step ${step} was ${change}${parts.length === 0 ? '' : ` (${parts.join(', ')})`}`,
  structure: () => 'the structure around its steps, or what it returns, changed',
  'output-globs': () => 'its output globs changed',
  'not-known': () => 'its files are not what they were',
  service: ({ change, service }) => `service ${service} ${DIFFERENCE[change]}`,
  'unknown-service': ({ service }) => `it needs service ${service}, of which nothing tells whether it is the same`,
  more: ({ count }) => `and ${String(count)} more`,
};

const DIFFERENCE = { added: 'is new', removed: 'is gone', changed: 'changed' } as const;

/** A reason in words. */
export const reasonWords = (reason: Reason): string => (words[reason.reason] as (reason: Reason) => string)(reason);

/** What a check says, and below it why, one line a reason. */
export function checkLines(check: Check): readonly string[] {
  switch (check.state) {
    case 'fresh':
      return [
        'is skipped: nothing changed',
        ...(check.unmatched ?? []).map((glob) => `nothing matches its input ${glob}`),
      ];
    case 'restored':
      return ['is restored from what was kept, because', ...check.because.map(reasonWords)];
    case 'kept':
      return ['may be restored from what was kept, because', ...check.because.map(reasonWords)];
    case 'service':
      return [`is up ${upWords(check)}`];
    case 'unknown':
      return [`may be skipped: that is known once ${check.waits.join(', ')} ran`];
    case 'stale':
      if (check.because[0]?.reason === 'no-steps') return ['has no steps of its own'];
      return [`runs${STORE[check.store]}, because`, ...check.because.map(reasonWords)];
  }
}

/** How long a service is up. */
export function upWords({ users }: Extract<Check, { readonly state: 'service' }>): string {
  return users.length === 0 ? 'until Ctrl-C' : `as long as ${users.join(', ')} need${users.length === 1 ? 's' : ''} it`;
}

const STORE = {
  'not-asked': '',
  missed: ', nothing fitting being kept',
  damaged: ', and what was kept could not be put back',
} as const;

/** Reasons that a task has by what it is: they are the same every time. */
const LASTING: ReadonlySet<Reason['reason']> = new Set(['declares-no-inputs', 'declares-no-outputs', 'acts']);

/** The first reason in short, for a title; empty when there is nothing to say. */
export function checkInShort(check: Check): string {
  if (check.state === 'fresh') return 'nothing changed';
  if (check.state === 'service') return upWords(check);
  const because = 'because' in check ? check.because : [];
  const [first] = because;
  if (first === undefined || first.reason === 'no-steps') return '';
  if (LASTING.has(first.reason)) return 'it declares no inputs and outputs, or does more than derive files here';
  return reasonWords(first) + (because.length > 1 ? `, and ${String(because.length - 1)} more` : '');
}

/** Prints in front of another reporter why each task runs or does not: as JSON lines, or in words. */
export function explainingReporter(inner: Reporter, write: Write, output: 'human' | 'json'): Reporter {
  const tell = (event: Extract<RunEvent, { readonly type: 'task-checked' }>): void => {
    if (output === 'json') return write(`${JSON.stringify(event)}\n`);
    const [title = '', ...reasons] = checkLines(event.check);
    write([`${event.task} ${title}`, ...reasons.map((line) => `  ${line}`), ''].join('\n'));
  };
  return {
    event(event) {
      if (event.type === 'task-checked') tell(event);
      inner.event(event);
    },
    close: () => inner.close(),
  };
}
