import { known, unknown } from '../model/fact.ts';
import { evaluate } from '../model/ref.ts';
import type { Block } from '../model/step.ts';
import { CancelSource } from './cancel.ts';
import type { Facts } from './facts.ts';
import { innermost, type At, type ItemOf, type Undo, type Walked } from './follower.ts';

/** Walks all branches at the same time, one after the other where that only `explores`; the first that fails ends the others. */
export async function walkParallel(
  item: ItemOf<'parallel'>,
  facts: Facts,
  at: At,
  explores: boolean,
  walk: (block: Block, at: At) => Promise<Walked>,
): Promise<Walked> {
  const cancel = new CancelSource(at.cancel);
  const branch = async (block: Block): Promise<Walked> => {
    const undos: Undo[] = [];
    const walked = await walk(block, { ...at, parent: item.id, cancel, undos: [...at.undos, undos] });
    innermost(at).push(...undos);
    if (!walked.ok) cancel.cancel(walked.failure);
    return walked;
  };
  const blocks = Object.entries(item.branches);
  const walked = explores ? [] : await Promise.all(blocks.map(([, block]) => branch(block)));
  if (explores) for (const [, block] of blocks) walked.push(await branch(block));
  cancel.release();
  if (cancel.cancelled && walked.some((one) => !one.ok)) return { ok: false, failure: cancel.cancelled };
  const results = blocks.map(([name, block]) => [name, evaluate(block.result, facts)] as const);
  const all = results.every(([, fact]) => fact.known);
  facts.set(
    item.id,
    all ? known(Object.fromEntries(results.map(([name, fact]) => [name, fact.known ? fact.value : null]))) : unknown,
  );
  return { ok: true };
}
