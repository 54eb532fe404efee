import { UsageError } from '../model/failure.ts';
import type { AnyTask } from '../model/task.ts';
import { quoteWord } from '../report/quote.ts';
import { typedName } from './flags.ts';
import type { Environment } from './npm-flags.ts';

/**
 * Finds a variable on make's command line that is named like a param: `make deploy to=jetson` would set a variable that
 * nothing reads, and deploy to the default target. Settings such as `DEPLOY_TO` are upper case and go their way.
 */
export function makeFlags(env: Environment, argv: readonly string[], tasks: readonly AnyTask[]): UsageError | null {
  // Deeper down, the variables are another makefile's.
  if (env['MAKELEVEL'] !== '1') return null;
  const named = tasks.filter(({ taskName }) => argv.includes(taskName));
  const params = new Set(
    named.flatMap(({ spec }) => Object.keys(spec.params ?? {})).flatMap((name) => [name, typedName(name)]),
  );
  const variables = (env['MAKEFLAGS'] ?? '').matchAll(/(?:^|\s)([A-Za-z][\w-]*)=((?:\\.|\S)*)/g);
  for (const [, name = '', value = ''] of variables) {
    if (!params.has(name)) continue;
    const line = ['npm', 'run', 'task', '--', ...argv, `--${typedName(name)}`, value.replace(/\\(.)/g, '$1')]
      .map(quoteWord)
      .join(' ');
    return new UsageError(`make passes no params on: ${name} would reach nobody`, `type ${line}`);
  }
  return null;
}
