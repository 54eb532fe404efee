import { unknown, type Unknown } from '../model/fact.ts';
import type { Entered, Performer } from '../model/ports.ts';
import type { Place } from '../model/step.ts';

const OUTSIDE: Entered = { value: '‹later›', leave: () => Promise.resolve() };

/** Touches nothing and knows nothing: the performer of `--dry-run`. */
export const dryPerformer: Performer<Unknown> = {
  explores: true,
  perform: () => Promise.resolve({ ok: true, fact: unknown }),
  enter: () => Promise.resolve({ ok: true, entered: OUTSIDE }),
  serviceEnded: () => Promise.reject(new Error('a dry run holds nothing')),
};

/**
 * Asks what may be asked: a `reads` step is performed as long as no earlier step of the plan would have altered that
 * place; a later one would ask about the future. Locks are not taken.
 */
export function previewPerformer(live: Performer): Performer {
  const altered = new Set<Place>();
  return {
    explores: true,
    perform(step, performing) {
      if (step.effect !== 'reads' && step.effect !== 'tells') altered.add(step.place);
      // A command of the author's own may do anything; only the drivers' named questions are sure to ask only.
      if (step.kind !== 'probe' || altered.has(step.place) || hasUnknown(step.args))
        return Promise.resolve({ ok: true, fact: unknown });
      return live.perform(step, performing);
    },
    enter: () => Promise.resolve({ ok: true, entered: OUTSIDE }),
    serviceEnded: (task, performing) => live.serviceEnded(task, performing),
  };
}

/** True while an argument refers to what no step yielded yet; a secret is not that, the driver resolves it. */
function hasUnknown(value: unknown): boolean {
  if (value === null || typeof value !== 'object') return false;
  if ('$ref' in value || '$apply' in value) return true;
  return Object.values(value).some(hasUnknown);
}
