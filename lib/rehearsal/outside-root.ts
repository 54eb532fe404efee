import { isExpr } from '../model/ref.ts';
import type { Json } from '../model/json.ts';
import type { Step } from '../model/step.ts';

/** A path in an argument: at its beginning, right after a short option, or after what separates words and lists. `//` begins no path but an address. */
const ABSOLUTE = /(?:^|^-[A-Za-z]|[\s=:,;|&<>()'"`])(\/(?!\/)[^\s:,;|&<>()'"`]*)/g;
/** Reads as empty and keeps nothing. */
const HARMLESS = new Set(['/dev/null']);

/**
 * The absolute paths outside the rehearsal device's root that a step's arguments name: a plan with one is refused,
 * because a rehearsal must not touch what is not its own. Refs are judged by the text that is known.
 */
export function outsideRoot(step: Step, root: string): readonly string[] {
  const found = argumentsOf(step).flatMap((argument) =>
    [...argument.matchAll(ABSOLUTE)].map((match) => match[1] ?? ''),
  );
  return [...new Set(found)].filter((path) => !HARMLESS.has(path) && !inside(path, root));
}

function argumentsOf(step: Step): string[] {
  switch (step.kind) {
    case 'run':
      return [...step.args.argv, step.args.cwd ?? '', ...Object.values(step.args.env ?? {})].flatMap(texts);
    case 'shell':
      return [step.args.script, step.args.cwd ?? '', ...Object.values(step.args.env ?? {})].flatMap(texts);
    case 'link':
      return [step.args.path, step.args.target].flatMap(texts);
    case 'write':
    case 'remove':
    case 'restore':
      return texts(step.args.path);
    case 'probe':
    case 'call':
      return commandsIn(step.args.args);
    default:
      return [];
  }
}

/** The commands of services among an operation's arguments; other texts there (an HTTP path, say) name no file. */
function commandsIn(args: Json, key = ''): string[] {
  if (args === null || typeof args !== 'object') return [];
  if (key === 'argv') return texts(args);
  return Array.isArray(args)
    ? args.flatMap((one: Json) => commandsIn(one))
    : Object.entries(args).flatMap(([name, one]) => commandsIn(one, name));
}

/** The text of an argument, what is not known of it left out; a list has one for each element. */
function texts(value: Json): string[] {
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) return value.flatMap(texts);
  if (value === null || !isExpr(value)) return [];
  const parts = value['$text'];
  return Array.isArray(parts) ? [parts.map((part: Json) => (typeof part === 'string' ? part : '‹›')).join('')] : [];
}

function inside(path: string, root: string): boolean {
  return !path.split('/').includes('..') && (path === root || path.startsWith(`${root}/`));
}
