import { readFileSync } from 'node:fs';
import { approvedPerformer, firstDifference, type Approval } from '../../engine/approval.ts';
import { UsageError } from '../../model/failure.ts';
import { sameJson } from '../../model/json.ts';
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
  if (difference) return refuse(`${file} is stale: ${difference.at} differs`, difference.approved, difference.now);
  const now = circumstances(context, prepared.plan);
  if (!sameJson(approval.circumstances, now))
    return refuse(`${file} is stale: inputs or devices are not what they were`, '', '');
  return perform(context, prepared, {
    ...options,
    force: false,
    through: (live) => approvedPerformer(live, approval.facts),
  });
}

function refuse(message: string, approved: string, now: string): number {
  say(`${message}; plan again with --dry-run --connected --out`);
  if (approved !== '') say(`  approved: ${approved}`);
  if (now !== '') say(`  now:      ${now}`);
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
  if (approval.version !== 1 || approval.plan === undefined || approval.goals === undefined)
    throw new UsageError(`${file} is no plan that --out wrote`, 'write one with --dry-run --connected --out plan.json');
  return approval as Approval;
}
