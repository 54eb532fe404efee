import { textOf, type Json } from '../model/json.ts';
import { neutral } from './neutral.ts';
import { quoteWord } from './quote.ts';

/** One operation that changed something on a device, as its journal has it. */
export interface AuditedOperation {
  readonly device: string;
  readonly at: string;
  readonly client: string;
  readonly op: string;
  readonly args: Json;
  /** `ok`, or the failure without its texts. */
  readonly outcome: Json;
}

/** One run: what this machine knows of it (`null`: it ran elsewhere), and what devices do. */
export interface AuditedRun {
  readonly run: string;
  readonly at: string;
  readonly who: string;
  readonly here: {
    readonly commandLine: string;
    readonly commit: string | null;
    readonly targets: readonly string[];
    readonly outcome: string;
    readonly status: number | null;
  } | null;
  readonly operations: readonly AuditedOperation[];
}

/** Longest text of an operation's arguments, in characters. */
const MAX_ARGS = 120;
const COMMIT_DIGITS = 10;

/** A run in lines: who, when, what was typed and what came of it; below, what was done on each device. */
export function auditLines({ run, at, who, here, operations }: AuditedRun): readonly string[] {
  const place = here === null ? 'from another machine' : here.outcome;
  const devices = here === null || here.targets.length === 0 ? '' : `  on ${here.targets.join(', ')}`;
  const commit = here?.commit == null ? '' : `  at commit ${here.commit.slice(0, COMMIT_DIGITS)}`;
  return [
    `${at.slice(0, 19)}  ${who}  run ${run}: ${place}`,
    ...(here === null ? [] : [`  ${here.commandLine}${devices}${commit}`]),
    ...operations.map(
      (one) =>
        `    ${one.at.slice(0, 19)}  ${one.device}: ${one.op}${argumentWords(one.args)}${outcomeWords(one.outcome)}`,
    ),
  ].map((line) => neutral(line, false));
}

function argumentWords(args: Json): string {
  if (args === null || typeof args !== 'object' || Array.isArray(args)) return '';
  const words = Object.entries(args)
    .filter(([name, value]) => value !== null && name !== 'step')
    .map(([name, value]) => ` ${name}=${wordOf(value)}`)
    .join('');
  return words.length > MAX_ARGS ? `${words.slice(0, MAX_ARGS)}…` : words;
}

const wordOf = (value: Json): string =>
  Array.isArray(value) ? value.map((one: Json) => quoteWord(textOf(one))).join(' ') : quoteWord(textOf(value));

function outcomeWords(outcome: Json): string {
  if (outcome === 'ok') return '';
  const failure = outcome as { readonly [field: string]: Json } | null;
  const what = [failure?.['reason'], failure?.['code'], failure?.['exitCode'], failure?.['signal']];
  return `: failed (${what.flatMap((one) => (one === undefined || one === null ? [] : [textOf(one)])).join(' ')})`;
}
