import { isExpr, type Expr, type StepId } from '../model/ref.ts';
import type { Json } from '../model/json.ts';
import type { Block, Item } from '../model/step.ts';
import type { PlanNode } from '../model/plan.ts';

/** Where a secret may stand: never in an argv, a script, a path or an output. */
const SECRET_FIELDS: ReadonlySet<string> = new Set(['env', 'content', 'args', 'to']);

/**
 * Refuses a ref to what may never have happened when it is read: only earlier items of this block or of one around
 * it, and what a need returned. So a live walk never meets an unknown.
 * @throws TypeError naming the item and the ref.
 */
export function checkRefs(node: PlanNode, fromNeeds: ReadonlySet<StepId>): void {
  checkBlock(node.body, new Set(fromNeeds));
}

function checkBlock(block: Block, around: ReadonlySet<StepId>): void {
  const known = new Set(around);
  for (const item of block.items) {
    checkItem(item, known);
    known.add(item.id);
  }
  checkValue(block.result, known, 'the result of a block', false);
}

function checkItem(item: Item, known: ReadonlySet<StepId>): void {
  switch (item.type) {
    case 'step':
      for (const [field, value] of Object.entries(item.args))
        checkValue(value as Json, known, item.id, SECRET_FIELDS.has(field));
      return;
    case 'change':
      checkBlock(item.do, known);
      return checkBlock(item.undo, known);
    case 'when':
      checkValue(item.condition, known, item.id, false);
      checkBlock(item.then, known);
      return checkBlock(item.otherwise, known);
    case 'each':
      checkValue(item.over, known, item.id, false);
      return checkBlock(item.body, new Set([...known, item.item]));
    case 'guard':
      checkBlock(item.body, known);
      return checkBlock(item.recover, known);
    case 'within':
      checkValue(item.scope, known, item.id, false);
      return checkBlock(item.body, new Set([...known, `${item.id}.scope`]));
    case 'notifying':
      for (const block of [item.start, item.body, item.success]) checkBlock(block, known);
      return checkBlock(item.failure, new Set([...known, `${item.id}.outcome`, `${item.id}.because`]));
    case 'wait':
      checkBlock(item.body, known);
      return checkValue(item.until, new Set([...known, ...item.body.items.map((inner) => inner.id)]), item.id, false);
    case 'require':
      checkValue(item.value, known, item.id, false);
      return checkValue(item.refusal, known, item.id, false);
    case 'parallel':
      for (const branch of Object.values(item.branches)) checkBlock(branch, known);
      return;
    case 'hold':
    case 'settle':
      return;
  }
}

function checkValue(value: Json, known: ReadonlySet<StepId>, where: string, secrets: boolean): void {
  if (value === null || typeof value !== 'object') return;
  if (isExpr(value)) {
    const expr: Expr = value;
    if ('$ref' in expr && !known.has(expr.$ref)) {
      throw new TypeError(
        `${where} uses ${expr.$ref}, which may not have happened by then; return it from its block, or record it earlier`,
      );
    }
    if ('$secret' in expr && !secrets)
      throw new TypeError(
        `${where} puts the secret ${expr.$secret} where it would show; give it as env, content or an operation's argument`,
      );
  }
  for (const field of Object.values(value)) checkValue(field, known, where, secrets);
}
