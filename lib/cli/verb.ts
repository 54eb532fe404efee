import { UsageError } from '../model/failure.ts';
import type { VerbUsage } from './flags.ts';
import type { Verb } from './invocation.ts';
import { didYouMean } from './suggest.ts';
import type { Tokens } from './tokens.ts';

/** Parses a verb's arguments, and refuses flags that mean nothing for it. */
export function parseVerb(usage: VerbUsage, tokens: Tokens): Verb {
  const { name, args, flags } = usage;
  const given = tokens.words.slice(1);
  const usageLine = `type ${[name, ...args.map((arg) => arg.toUpperCase())].join(' ')}`;
  const [param] = tokens.params.keys();
  if (param !== undefined) throw new UsageError(`${name} has no param or flag --${param}`, usageLine);
  const useless = [...tokens.flags.keys()].find((flag) => flag !== 'no-color' && !flags.includes(flag));
  if (useless !== undefined) throw new UsageError(`--${useless} means nothing for ${name}`, usageLine);
  if (given.length > args.length || tokens.rest !== null)
    throw new UsageError(
      `${name} takes ${args.length === 0 ? 'no argument' : 'one argument'}, not ${[...given, ...(tokens.rest ?? [])].join(' ')}`,
      usageLine,
    );
  const [argument] = given;
  if (args.length > 0 && argument === undefined)
    throw new UsageError(`${name} needs ${args[0] === 'action' ? 'an' : 'a'} ${args[0] ?? ''}`, usageLine);
  switch (name) {
    case 'apply':
      return { verb: 'apply', plan: argument ?? '' };
    case 'show':
      return { verb: 'show', run: argument ?? '' };
    case 'uninstall':
      return { verb: 'uninstall', device: argument ?? '', withData: tokens.flags.has('with-data') };
    case 'rehearsal':
      if (argument !== 'stop')
        throw new UsageError(
          `rehearsal has no action ${argument ?? ''}`,
          didYouMean(argument ?? '', ['stop'], 'type rehearsal stop'),
        );
      return { verb: 'rehearsal', action: 'stop' };
    default:
      return { verb: name as 'recover' | 'history' | 'status' | 'config' };
  }
}
