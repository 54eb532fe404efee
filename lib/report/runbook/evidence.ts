import { textOf, type Json } from '../../model/json.ts';
import { describe, isExpr } from '../../model/ref.ts';
import type { Step, StepArgs, StepKind } from '../../model/step.ts';
import { duration } from '../outcome.ts';
import { code } from './markdown.ts';

/** A value or a ref in words. */
export const worded = (data: Json): string => (isExpr(data) ? describe(data) : textOf(data));

/** What is to be seen when a step is done: of its kind, and what it answered last time. */
export function evidenceOf(step: Step, answer: string | undefined): string {
  const seen = (SEEN[step.kind] as (args: StepArgs[StepKind], step: Step) => string)(step.args, step);
  const limit = step.timeoutMs === undefined ? '' : `, within ${duration(step.timeoutMs)}`;
  return `${seen}${limit}${answer === undefined ? '' : `; last time ${code(answer)}`}`;
}

const status = ({ okExits = [0] }: StepArgs['run'] | StepArgs['shell']): string =>
  `it ends with status ${okExits.map(String).join(' or ')}`;

const SEEN: { readonly [K in StepKind]: (args: StepArgs[K], step: Step) => string } = {
  run: status,
  shell: status,
  opaque: () => 'it returns without an error',
  probe: () => 'it answers',
  call: () => 'it is accepted',
  write: ({ path, mode }) => `${code(worded(path))} is there, mode ${mode.toString(8).padStart(4, '0')}`,
  link: ({ path, target }) =>
    target === null ? `${code(worded(path))} is gone` : `${code(worded(path))} leads to ${code(worded(target))}`,
  remove: ({ path }) => `${code(worded(path))} is gone`,
  restore: ({ path }) => `${code(worded(path))} is as it was`,
  upload: ({ release }) => `${code('status')} lists release ${code(worded(release))}`,
  service: ({ operation, name }, { place }) =>
    place === 'here'
      ? `${code(worded(name))} ${operation === 'start' ? 'runs' : 'runs no more'}`
      : `${code(`status --device ${place}`)}: ${code(worded(name))} ${operation === 'start' ? 'runs' : 'runs no more'}`,
  notify: () => 'the message arrives; who could not be told is named at the end, and that fails nothing',
};
