import type { RunEvent } from '../model/event.ts';
import type { Plan } from '../model/plan.ts';
import { textOf } from '../model/json.ts';
import { HERE, itemsIn, LATER_PATH, type Step, type Touch } from '../model/step.ts';
import { passingOf } from './follow.ts';
import type { JournalLine } from './journal.ts';
import { fixedPart } from './overlap.ts';

/** Ids of the changes that a run began and did not put back, by its journal. */
export function standingChanges(lines: readonly RunEvent[]): ReadonlySet<string> {
  const begun = new Map<string, string>();
  for (const line of lines) {
    if (line.type === 'change-started') begun.set(passingOf(line.id, line.iteration), line.id);
    if (line.type === 'undo-finished') begun.delete(passingOf(line.id, line.iteration));
  }
  return new Set(begun.values());
}

/** A journal without the changes that were over at that time, ISO: runs may go on beside each other. */
export function linesSince(lines: readonly JournalLine[], since: string): readonly JournalLine[] {
  const over = new Set(
    lines.flatMap((line) =>
      line.type === 'change-finished' && line.at < since ? [passingOf(line.id, line.iteration)] : [],
    ),
  );
  return lines.filter((line) =>
    line.type === 'change-started'
      ? !over.has(passingOf(line.id, line.iteration))
      : line.type === 'undo-finished' || line.at >= since,
  );
}

/** What a run touched and left so: its standing changes, and the outputs that its tasks made. */
export function touchedBy(plan: Plan, lines: readonly RunEvent[], made: readonly Step[] | null): readonly Touch[] {
  const standing = standingChanges(lines);
  const done = new Set(
    lines.flatMap((line) => (line.type === 'task-finished' && line.outcome === 'done' ? [line.task] : [])),
  );
  const touches = plan.nodes.flatMap(({ id, body, outputs }) => [
    ...[...itemsIn(body)].flatMap((item) => (item.type === 'change' && standing.has(item.id) ? item.touches : [])),
    ...(done.has(id) ? (outputs ?? []) : [])
      .filter((glob) => !glob.startsWith('!'))
      .map((glob): Touch => ({ place: HERE, path: fixedPart(glob).join('/') })),
  ]);
  return made === null ? touches : [...touches.filter((touch) => !isLater(touch)), ...made.flatMap(touchOf)];
}

/** A path that was not known when it was planned. */
export const isLater = (touch: Touch): boolean => 'path' in touch && touch.path === LATER_PATH;

/** What one performed step touched, as far as it is a path or a service. */
export function touchOf({ place, ...step }: Step): readonly Touch[] {
  switch (step.kind) {
    case 'write':
    case 'link':
    case 'remove':
    case 'restore':
      return [{ place, path: textOf(step.args.path) }];
    case 'service':
      return [{ place, service: textOf(step.args.name) }];
    default:
      return [];
  }
}

/** The first thing of `mine` that one of `theirs` is, too: the same, or a folder around it or something in it. */
export function sharedTouch(mine: readonly Touch[], theirs: readonly Touch[]): Touch | null {
  return mine.find((one) => theirs.some((other) => one.place === other.place && same(one, other))) ?? null;
}

function same(one: Touch, other: Touch): boolean {
  if ('path' in one && 'path' in other) {
    if (isLater(one) || isLater(other)) return true;
    const [a, b] = [partsOf(one.path), partsOf(other.path)];
    return (a.length < b.length ? a : b).every((part, at) => part === (a.length < b.length ? b : a)[at]);
  }
  if ('service' in one && 'service' in other)
    return one.service === other.service || one.service === '*' || other.service === '*';
  return 'data' in one && 'data' in other && one.data === other.data;
}

const partsOf = (path: string): readonly string[] => path.split('/').filter((part) => part !== '' && part !== '.');

/** A touched thing in words. */
export function touchWords(touch: Touch): string {
  const what = 'path' in touch ? touch.path : 'service' in touch ? `the service ${touch.service}` : touch.data;
  return touch.place === HERE ? what : `${what} on ${touch.place}`;
}
