import type { Looked } from '../../lib/engine/freshness.ts';
import { makePlan } from '../../lib/engine/graph.ts';
import type { Plan } from '../../lib/model/plan.ts';
import { s } from '../../lib/model/schema.ts';
import { task, type Need, type Needs } from '../../lib/model/task.ts';
import { ask, change, hash, operation } from './rig.ts';

export const address = operation('address', 'reads', s.string);

/** A task that starts `NAME` and holds it up; it hands on an address. */
export const service = (name: string, needs: Needs = {}, spec: object = {}): Need =>
  task(name, {
    summary: 'a service',
    needs,
    ...spec,
    steps(p) {
      const url = p.probe(address, { name: `${name} address` });
      change(p, `${name} up`);
      p.hold();
      return { url };
    },
  })();

export const user = (name: string, needs: Needs, spec: object = {}): Need =>
  task(name, { summary: 'a task', needs, ...spec, steps: (p) => void p.probe(ask, { name }) })();

export const looked = (check: Looked['check']): Looked => ({ check, facts: {}, mayBeSkipped: true });

export const planned = (...goals: readonly Need[]): Plan => makePlan(goals, hash).plan;
