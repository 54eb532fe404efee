import { textOf, type Json } from '../model/json.ts';
import { describe, isExpr, refsIn } from '../model/ref.ts';
import { itemsIn, type Item, type Step, type StepArgs, type StepKind } from '../model/step.ts';
import { quoteWord } from './quote.ts';

/** Longest list or object that is printed whole, in characters. */
const MAX_DATA = 72;

/**
 * The printed text of a step, one line: effect, place, and what exactly is done there. Argv is quoted for a shell, refs
 * are `‹…›`, of environment variables only names show. A performed step whose refs are put back prints the same.
 */
export function stepLine(step: Step): string {
  const words = (texts[step.kind] as (args: StepArgs[StepKind]) => string)(step.args);
  const summary = step.summary === undefined ? '' : ` — ${step.summary}`;
  return oneLine(
    `${step.effect} ${step.place}: ${words}${summary}${step.confirm === undefined ? '' : ` (cannot be undone: --confirm ${quoteWord(step.confirm)})`}`,
  );
}

/** The lines that put a change back, in order. */
export function undoLines(change: Extract<Item, { readonly type: 'change' }>): readonly string[] {
  return [...itemsIn(change.undo)].flatMap((item) => (item.type === 'step' ? [stepLine(item)] : []));
}

const texts: { readonly [K in StepKind]: (args: StepArgs[K]) => string } = {
  run: (args) => `${flat(args.argv).map(word).join(' ')}${around(args)}`,
  shell: (args) => `sh -c ${word(args.script)}${around(args)}`,
  opaque: ({ name }) => `function ${name}`,
  probe: ({ ask, args }) => `ask ${ask}${fields(args)}`,
  call: ({ operation, args }) => `call ${operation}${fields(args)}`,
  write: ({ path, content, mode }) =>
    `write ${word(path)} (${size(content)}, mode ${mode.toString(8).padStart(4, '0')})`,
  link: ({ path, target }) => (target === null ? `remove link ${word(path)}` : `link ${word(path)} -> ${word(target)}`),
  remove: ({ path }) => `remove ${word(path)}`,
  restore: ({ path, saved }) => `put back ${word(path)} as ${saved} found it`,
  upload: ({ from, release }) => `upload ${word(from)} as release ${word(release)}`,
  notify: ({ to, event, text, because }) =>
    `tell ${channels(to)}${event === 'message' ? '' : ` of ${word(event)}`}: ${spelled(text)}${because === undefined ? '' : ` (${spelled(because)})`}`,
  service: ({ operation, name, spec }) => `${operation} service ${word(name)}${fields(spec)}`,
};

/** Channels by kind, with the secrets that say where they are; an optional one is told if those are set. */
function channels(to: Json): string {
  const all = to as readonly { readonly kind: string; readonly optional?: boolean }[];
  return all
    .map((one) => {
      const secrets = [...new Set(secretsIn(one))].join(', ');
      return `${one.kind} (${secrets}${one.optional === true ? ', if set' : ''})`;
    })
    .join(', ');
}

/** Where a command runs, and the names of its own variables. */
function around({ cwd, env, stdin, okExits }: StepArgs['run'] | StepArgs['shell']): string {
  const names = Object.keys(env ?? {});
  return [
    cwd === undefined ? '' : ` (in ${word(cwd)})`,
    names.length === 0 ? '' : ` (env ${names.join(', ')})`,
    stdin === 'terminal' ? ' (reads the terminal)' : '',
    okExits === undefined ? '' : ` (ok: exit ${okExits.join(', ')})`,
  ].join('');
}

/** A ref to a list stands for all its elements. */
const flat = (argv: readonly Json[]): readonly Json[] =>
  argv.flatMap((one) => (Array.isArray(one) ? (one as readonly Json[]) : [one]));

/** One word of a command: quoted where a shell would need it, the marks of refs aside. */
function word(data: Json): string {
  const text = spelled(data);
  return isExpr(data) && quoteWord(text.replace(/‹[^‹›]*›/g, 'x')) === text.replace(/‹[^‹›]*›/g, 'x')
    ? text
    : quoteIfPlain(data, text);
}

const quoteIfPlain = (data: Json, text: string): string =>
  isExpr(data) && !('$text' in data) ? text : quoteWord(text);

function spelled(data: Json): string {
  if (data === null) return 'nothing';
  if (isExpr(data)) return describe(data);
  return typeof data === 'object' ? brief(data) : String(data);
}

/** The arguments of a question or operation: `release=‹deploy/2.release› keep=3`. */
function fields(data: Json): string {
  if (data === null || typeof data !== 'object' || Array.isArray(data) || isExpr(data))
    return data === null ? '' : ` ${spelled(data)}`;
  return Object.entries(data)
    .map(([name, value]) =>
      name === 'env' ? ` (env ${Object.keys(value ?? {}).join(', ')})` : ` ${name}=${word(value)}`,
    )
    .join('');
}

/** A list or object: as JSON when it is short, otherwise what it is. */
function brief(data: Json): string {
  const text = JSON.stringify(described(data));
  if (text.length <= MAX_DATA) return text;
  return Array.isArray(data) ? `[${String(data.length)} items]` : `{${Object.keys(data as object).join(',')}}`;
}

/** The same data with each ref as its printed form. */
function described(data: Json): Json {
  if (data === null || typeof data !== 'object') return data;
  if (isExpr(data)) return describe(data);
  if (Array.isArray(data)) return data.map(described);
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, described(value)]));
}

/** What a file will hold: never the content itself, which may be a secret. */
function size(content: Json): string {
  if (typeof content === 'string') return `${String(new TextEncoder().encode(content).length)} bytes`;
  const sources = [...new Set([...refsIn(content), ...secretsIn(content)])];
  return sources.length === 0
    ? 'content known later'
    : `content with ${sources.map((source) => `‹${source}›`).join(' ')}`;
}

function secretsIn(data: Json): string[] {
  if (data === null || typeof data !== 'object') return [];
  if (!Array.isArray(data) && '$secret' in data)
    return [`secret ${textOf((data as { readonly $secret: Json }).$secret)}`];
  return Object.values(data).flatMap((field) => secretsIn(field as Json));
}

/** Line ends become a visible mark; other control characters are spelt out. */
function oneLine(text: string): string {
  return text
    .replace(/\r?\n/g, '⏎')
    .replace(/[\x00-\x1f\x7f-\x9f]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
