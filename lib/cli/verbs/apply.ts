import { readFileSync } from 'node:fs';
import {
  approvedPerformer,
  changedCircumstance,
  firstDifference,
  type Approval,
  type Difference,
} from '../../engine/approval.ts';
import { UsageError } from '../../model/failure.ts';
import { planGoals, type Context } from '../context.ts';
import { circumstances } from '../dry-run.ts';
import { STATUS } from '../../model/exit-status.ts';
import type { Goal } from '../invocation.ts';
import { perform, type PerformOptions } from '../perform.ts';
import { say } from '../reporting.ts';

/** Plans again what was approved, and performs that only if it is the same; device facts are taken again under the lock. */
export async function apply(context: Context, file: string, options: PerformOptions): Promise<number> {
  const approval = readApproval(file);
  const prepared = planGoals(context, approval.goals as readonly Goal[], []);
  const difference = firstDifference(approval.plan, prepared.plan);
  if (difference) return refuse(file, difference);
  const changed = changedCircumstance(approval.circumstances, circumstances(context, prepared.plan));
  if (changed) return refuse(file, changed);
  return perform(context, prepared, {
    ...options,
    force: false,
    through: (live) => approvedPerformer(live, approval.facts),
  });
}

function refuse(file: string, { at, approved, now }: Difference): number {
  say(`${file} is stale: ${at} differs; plan again with --dry-run --connected --out`);
  say(`  approved: ${approved}`);
  say(`  now:      ${now}`);
  return STATUS.refused;
}

function readApproval(file: string): Approval {
  let approval: Partial<Approval>;
  try {
    approval = JSON.parse(readFileSync(file, 'utf8')) as Partial<Approval>;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new UsageError(
      code === undefined ? `${file} is no plan: it is not JSON` : `${file} cannot be read (${code})`,
      'write one with --dry-run --connected --out plan.json',
    );
  }
  if (approval.version !== 1 || !approval.plan || !approval.goals || !approval.circumstances)
    throw new UsageError(`${file} is no plan that --out wrote`, 'write one with --dry-run --connected --out plan.json');
  return approval as Approval;
}
