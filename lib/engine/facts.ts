import { unknown, type Fact } from '../model/fact.ts';
import type { Json } from '../model/json.ts';
import { evaluate, isExpr, type Lookup, type StepId } from '../model/ref.ts';
import type { Step } from '../model/step.ts';

/** What is known so far. An iteration has facts of its own on top of those around it. */
export class Facts implements Lookup {
  readonly #facts = new Map<StepId, Fact>();
  readonly #around: Facts | undefined;

  constructor(around?: Facts) {
    this.#around = around;
  }

  fact(id: StepId): Fact {
    return this.#facts.get(id) ?? this.#around?.fact(id) ?? unknown;
  }

  set(id: StepId, fact: Fact): void {
    this.#facts.set(id, fact);
  }

  entries(): IterableIterator<[StepId, Fact]> {
    return this.#facts.entries();
  }
}

/** A value with every ref replaced that is known; the others stay as they are. */
export function settleRefs(value: Json, lookup: Lookup): Json {
  if (value === null || typeof value !== 'object') return value;
  if (isExpr(value)) {
    const fact = evaluate(value, lookup);
    if (fact.known) return fact.value;
    return Object.fromEntries(
      Object.entries(value).map(([key, field]) => [
        key,
        key === '$ref' || key === '$apply' || key === 'at' ? field : settleRefs(field, lookup),
      ]),
    );
  }
  if (Array.isArray(value)) return value.map((one) => settleRefs(one as Json, lookup));
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, settleRefs(field, lookup)]));
}

function holdsExpr(value: unknown): boolean {
  if (value === null || typeof value !== 'object') return false;
  if (isExpr(value as Json)) return true;
  for (const name in value) if (holdsExpr((value as { readonly [name: string]: unknown })[name])) return true;
  return false;
}

/** A step whose known refs are values. */
export function resolveStep(step: Step, lookup: Lookup): Step {
  if (!holdsExpr(step.args)) return step;
  return { ...step, args: settleRefs(step.args as unknown as Json, lookup) } as unknown as Step;
}
