import { dryPerformer } from '../../lib/engine/dry.ts';
import { createFreshness } from '../../lib/engine/freshness.ts';
import { showPlan } from '../../lib/engine/show.ts';
import type { Check } from '../../lib/model/check.ts';
import type { Plan } from '../../lib/model/plan.ts';
import type { Turns } from '../../lib/model/ports.ts';
import { MemoryStore } from './memory-store.ts';
import { HandClock, Scripted, hash, run, type Ran } from './rig.ts';

/** A checkout in which `build` copies `src/` to `out/`, unless a test says otherwise. */
export class Checkout extends MemoryStore {
  build: () => void = () => void this.files.set('out/a', this.files.get('src/a') ?? '');

  constructor() {
    super();
    this.files.set('src/a', 'one');
  }

  async run(
    plan: Plan,
    {
      answers = {},
      ...options
    }: {
      readonly answers?: ConstructorParameters<typeof Scripted>[0];
      readonly force?: boolean;
      readonly turns?: Turns;
    } = {},
  ): Promise<
    Ran & { readonly did: readonly string[]; readonly outcomes: readonly string[]; readonly checks: readonly Check[] }
  > {
    const performer = new Scripted({
      build: () => (this.build(), { ok: true, fact: { known: true, value: 'built' } }),
      ...answers,
    });
    const ran = await run(plan, performer, { freshness: createFreshness(this, hash), ...options });
    return {
      ...ran,
      did: performer.did,
      outcomes: ran.events.flatMap((event) =>
        event.type === 'task-finished' ? [`${event.task} ${event.outcome}`] : [],
      ),
      checks: ran.events.flatMap((event) => (event.type === 'task-checked' ? [event.check] : [])),
    };
  }

  async show(plan: Plan, force = false): Promise<readonly string[]> {
    const { tasks } = await showPlan(plan, {
      performer: dryPerformer,
      clock: new HandClock(),
      freshness: createFreshness(this, hash),
      force,
      line: (step) => step.id,
    });
    return tasks.map((one) => `${one.task} ${one.state}: ${one.steps.map((step) => step.certainty).join(',')}`);
  }
}
