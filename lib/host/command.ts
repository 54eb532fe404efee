import type { Failure } from '../model/failure.ts';
import type { Json } from '../model/json.ts';
import { check } from '../model/schema.ts';
import type { Output, Step } from '../model/step.ts';
import { plainText } from './plain-text.ts';
import type { ProcessSpec } from './process.ts';

/** A step that is a command. */
export type CommandStep = Extract<Step, { kind: 'run' | 'shell' }>;

/** A value, or why there is none. */
export type Outcome = { readonly ok: true; readonly value: Json } | { readonly ok: false; readonly failure: Failure };

/** The argv of a step: elements that are lists stand for all their elements. */
export function argvOf(step: CommandStep): readonly string[] {
  return step.kind === 'shell'
    ? ['sh', '-c', plainText(step.args.script, `the script of ${step.id}`)]
    : flatten(step.args.argv, step.id);
}

/** Argv elements as strings, lists flattened. */
export function flatten(argv: readonly Json[], step: string): readonly string[] {
  return argv.flatMap((part): readonly string[] =>
    Array.isArray(part) ? flatten(part as readonly Json[], step) : [plainText(part, `argv of ${step}`)],
  );
}

/** What a step says about its process, beyond argv and environment. */
export function optionsOf(step: CommandStep): Pick<ProcessSpec, 'stdin' | 'capture' | 'okExits'> {
  const { stdin = 'none', output, okExits } = step.args;
  return { stdin, capture: output !== 'none', ...(okExits && { okExits }) };
}

/** The variables that a step sets. */
export function envOf(env: { readonly [name: string]: Json } | undefined): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env ?? {}).map(([name, value]) => [name, plainText(value, `the variable ${name}`)]),
  );
}

/** The value of a step from its command's standard output, checked against the step's schema. */
export function valueOf(step: CommandStep, stdout: string, what: string): Outcome {
  const read = readOutput(step.args.output, stdout);
  if (read === undefined)
    return {
      ok: false,
      failure: {
        reason: 'unexpected-value',
        what,
        at: '',
        expected: 'JSON',
        actual: stdout === '' ? 'nothing' : 'text',
      },
    };
  return fit(step, read, what);
}

/** A value that fits the step's schema, or `unexpected-value`. */
export function fit(step: Step, value: Json, what: string): Outcome {
  const checked = check(step.yields, value);
  return checked.fits
    ? { ok: true, value: checked.value }
    : { ok: false, failure: { reason: 'unexpected-value', what, ...checked.mismatch } };
}

/** Like `$(…)` of a shell, a text ends without its last line breaks. */
function readOutput(output: Output, stdout: string): Json | undefined {
  const text = stdout.replace(/(\r?\n)+$/, '');
  switch (output) {
    case 'none':
      return null;
    case 'text':
      return text;
    case 'lines':
      return text === '' ? [] : text.split(/\r?\n/);
    case 'json':
      try {
        return JSON.parse(stdout) as Json;
      } catch {
        return undefined;
      }
  }
}
