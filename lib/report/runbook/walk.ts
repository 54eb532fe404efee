import type { ShownStep } from '../../engine/show.ts';
import type { Plan } from '../../model/plan.ts';
import type { StepId } from '../../model/ref.ts';
import { blocksIn, type Block, type Item, type Step } from '../../model/step.ts';

export type Change = Extract<Item, { readonly type: 'change' }>;
type Guard = Extract<Item, { readonly type: 'guard' }>;

/** What is around an item when the walk comes to it: what a failure there would put back, and where it would end. */
export interface Around {
  /** Changes that are put back if this fails, the latest first; its own is among them. */
  readonly back: readonly Change[];
  /** The guard that a failure ends at; `null`: the task fails. */
  readonly guard: Guard | null;
}

/** What of a plan can go wrong, in the order of the plan. */
export type Spot = Around &
  (
    | { readonly what: 'step'; readonly step: Step; readonly shown: ShownStep; readonly number: number }
    | { readonly what: 'require'; readonly item: Extract<Item, { readonly type: 'require' }> }
    | { readonly what: 'wait'; readonly item: Extract<Item, { readonly type: 'wait' }> }
  );

/** The shown steps of a plan with their numbers, and all that may refuse or fail between them. */
export function spotsOf(plan: Plan, shown: readonly ShownStep[]): readonly Spot[] {
  const numbers = new Map(shown.map((step, index) => [step.id, { shown: step, number: index + 1 }]));
  return plan.nodes.flatMap((node) => new Walk(numbers).spots(node.body));
}

type Numbered = ReadonlyMap<StepId, { readonly shown: ShownStep; readonly number: number }>;

class Walk {
  readonly #numbers: Numbered;
  readonly #spots: Spot[] = [];
  #standing: Change[] = [];

  constructor(numbers: Numbered) {
    this.#numbers = numbers;
  }

  spots(block: Block): readonly Spot[] {
    this.#block(block, null, 0);
    return this.#spots;
  }

  /** Inside a guard only what was changed since its beginning (`from`) is put back. */
  #block(block: Block, guard: Guard | null, from: number): void {
    for (const item of block.items) this.#item(item, guard, from);
  }

  #item(item: Item, guard: Guard | null, from: number): void {
    const around = (): Around => ({ back: this.#standing.slice(from).toReversed(), guard });
    switch (item.type) {
      case 'step': {
        const found = this.#numbers.get(item.id);
        if (found) this.#spots.push({ what: 'step', step: item, ...found, ...around() });
        return;
      }
      case 'require':
        return void this.#spots.push({ what: 'require', item, ...around() });
      case 'change':
        this.#standing.push(item);
        this.#block(item.do, guard, from);
        if (item.undone === 'unless-done') this.#standing.pop();
        return;
      case 'guard':
        return this.#eitherOr(
          () => this.#block(item.body, item, this.#standing.length),
          () => this.#block(item.recover, guard, from),
        );
      case 'when':
        return this.#eitherOr(
          () => this.#block(item.then, guard, from),
          () => this.#block(item.otherwise, guard, from),
        );
      case 'wait':
        this.#block(item.body, guard, from);
        if (item.orElse === 'fail') this.#spots.push({ what: 'wait', item, ...around() });
        return;
      case 'settle':
        return void (this.#standing = []);
      default:
        for (const inner of blocksIn(item)) this.#block(inner, guard, from);
        // Leaving a dead-man's switch settles the task.
        if (item.type === 'within' && item.scope.kind === 'deadMan') this.#standing = [];
    }
  }

  /** Of two ways only one is gone to its end: what the first changed does not stand in the second. */
  #eitherOr(one: () => void, other: () => void): void {
    const before = this.#standing.length;
    one();
    const changed = this.#standing.slice(before);
    this.#standing = this.#standing.slice(0, before);
    other();
    this.#standing.splice(before, 0, ...changed);
  }
}
