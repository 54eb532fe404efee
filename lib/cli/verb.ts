import { UsageError } from '../model/failure.ts';
import { device, parseParam } from '../model/param.ts';
import { COMPLETIONS, usageOf, type Completion, type VerbUsage } from './flags.ts';
import type { Verb } from './invocation.ts';
import { behindDashes, unknownFlag } from './mistakes.ts';
import { didYouMean } from './suggest.ts';
import type { Tokens } from './tokens.ts';

/** Lines of a log that are shown when nobody says how many, and the most that can be asked for. */
const LOG_LINES = 100;
const MAX_LOG_LINES = 1_000_000;

/** Parses a verb's arguments, and refuses flags that mean nothing for it. */
export function parseVerb(usage: VerbUsage, tokens: Tokens): Verb {
  const { name, args } = usage;
  const given = tokens.words.slice(1);
  const usageLine = `type ${usageOf(usage)}`;
  refuseStrangeFlags(usage, tokens);
  if (given.length > args.length || (tokens.rest !== null && usage.rest === undefined))
    throw new UsageError(
      `${name} takes ${args.length === 0 ? 'no argument' : 'one argument'}, not ${[...given, ...(tokens.rest ?? [])].join(' ')}`,
      usage.rest === undefined ? usageLine : behindDashes(usage),
    );
  const [argument] = given;
  if (args.length > 0 && argument === undefined)
    throw name === 'rehearsal'
      ? new UsageError('rehearsal needs an action', 'type rehearsal stop')
      : new UsageError(`${name} needs a ${args[0] ?? ''}`, usageLine);
  switch (name) {
    case 'apply':
      return { verb: 'apply', plan: argument ?? '' };
    case 'show':
      return { verb: 'show', run: argument ?? '', logs: tokens.flags.has('logs') };
    case 'trace-inputs':
      return { verb: 'trace-inputs', task: argument ?? '', check: tokens.flags.has('check') };
    case 'undo': {
      const connected = tokens.flags.has('connected');
      return { verb: 'undo', run: argument ?? '', dryRun: connected || tokens.flags.has('dry-run'), connected };
    }
    case 'completion':
      return { verb: 'completion', shell: shell(argument ?? '') };
    case 'uninstall':
      return { verb: 'uninstall', device: argument ?? '', withData: tokens.flags.has('with-data') };
    case 'rehearsal':
      if (argument !== 'stop')
        throw new UsageError(
          `rehearsal has no action ${argument ?? ''}`,
          didYouMean(argument ?? '', ['stop'], 'type rehearsal stop'),
        );
      return { verb: 'rehearsal', action: 'stop' };
    case 'logs':
      return {
        verb: 'logs',
        service: argument ?? '',
        follow: tokens.flags.has('follow'),
        lines: lines(tokens),
        ...on(tokens),
      };
    case 'exec':
      if (tokens.rest === null || tokens.rest.length === 0)
        throw new UsageError('exec needs a command', behindDashes(usage));
      return { verb: 'exec', command: tokens.rest, service: text(tokens, 'service'), ...on(tokens) };
    case 'shell':
      return { verb: 'shell', service: text(tokens, 'service'), ...on(tokens) };
    case 'status':
    case 'doctor':
    case 'audit':
      return { verb: name, ...on(tokens) };
    default:
      return { verb: name as 'recover' | 'history' | 'config' };
  }
}

function shell(given: string): Completion {
  const found = COMPLETIONS.find((name) => name === given);
  if (found === undefined)
    throw new UsageError(
      `there is no completion for ${given}`,
      didYouMean(given, COMPLETIONS, 'type completion bash, completion zsh or completion fish'),
    );
  return found;
}

function refuseStrangeFlags(usage: VerbUsage, tokens: Tokens): void {
  const { name, flags, own = [] } = usage;
  const usageLine = `type ${usageOf(usage)}`;
  const [param] = tokens.params.keys();
  if (param !== undefined)
    throw usage.own === undefined
      ? new UsageError(`${name} has no param or flag --${param}`, usageLine)
      : unknownFlag(usage, `--${param}`);
  const known = ['no-color', ...flags, ...own.map((flag) => flag.name)];
  const useless = [...tokens.flags.keys()].find((flag) => !known.includes(flag));
  if (useless !== undefined) throw new UsageError(`--${useless} means nothing for ${name}`, usageLine);
}

const text = ({ flags }: Tokens, name: string): string | null => {
  const value = flags.get(name);
  return typeof value === 'string' ? value : null;
};

function on(tokens: Tokens): { readonly device: string | null } {
  const name = text(tokens, 'device');
  const parsed = name === null ? null : parseParam(device({ summary: '' }), name);
  if (parsed?.ok === false)
    throw new UsageError(
      `--device must be ${parsed.expected}, not ${name === '' ? 'empty' : String(name)}`,
      '"config" shows the devices that are configured',
    );
  return { device: name };
}

function lines(tokens: Tokens): number {
  const given = text(tokens, 'lines');
  if (given === null) return LOG_LINES;
  const count = /^\d{1,7}$/.test(given) ? Number(given) : -1;
  if (count < 0 || count > MAX_LOG_LINES)
    throw new UsageError(
      `--lines must be a whole number from 0 to ${String(MAX_LOG_LINES)}, not ${given === '' ? 'empty' : given}`,
      'type -n 100',
    );
  return count;
}
