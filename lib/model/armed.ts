import { isExpr } from './ref.ts';
import type { Json } from './json.ts';
import { itemsIn, type Block, type Item, type Place, type Scope } from './step.ts';

type DeadMan = Extract<Scope, { readonly kind: 'deadMan' }>;

const BODY: readonly Item['type'][] = ['step', 'change', 'when', 'each', 'wait', 'require'];
const UNDO: readonly Item['type'][] = ['step', 'when'];

/**
 * Refuses what could not be put back by the device alone: there every change is one step of that device, and its undo
 * is a list of such steps, without secrets, that can be written down there before the change is made.
 * @throws TypeError naming the item.
 */
export function checkArmed({ place }: DeadMan, body: Block): void {
  if (body.result !== null) throw new TypeError("a dead-man's switch yields nothing: a device may finish it alone");
  for (const item of itemsIn(body)) {
    if (!BODY.includes(item.type)) refuse(item, `a ${item.type} cannot stand`);
    if (item.type === 'step' && item.effect !== 'reads' && (item.place !== place || item.effect !== 'changes'))
      refuse(item, `only what reads, or changes ${place}, can stand`);
    if (item.type === 'change') checkChange(item, place);
  }
}

function checkChange(item: Extract<Item, { readonly type: 'change' }>, place: Place): void {
  if (item.do.items.length !== 1 || item.do.items[0]?.type !== 'step')
    refuse(item, 'a change of more than one step cannot stand');
  for (const undo of itemsIn(item.undo)) {
    if (!UNDO.includes(undo.type)) refuse(undo, `an undo with a ${undo.type} cannot stand`);
    if (undo.type === 'step' && undo.place !== place) refuse(undo, `an undo on ${undo.place} cannot stand`);
    if (undo.type === 'step' && holdsSecret(undo.args as unknown as Json))
      refuse(undo, 'an undo that needs a secret cannot stand');
  }
}

function refuse(item: Item, what: string): never {
  throw new TypeError(`${item.id}: ${what} inside a dead-man's switch, where the device puts back alone`);
}

function holdsSecret(value: Json): boolean {
  if (value === null || typeof value !== 'object') return false;
  if (isExpr(value) && '$secret' in value) return true;
  return Object.values(value).some(holdsSecret);
}
