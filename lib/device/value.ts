import { known } from '../model/fact.ts';
import type { Json } from '../model/json.ts';
import type { Performed } from '../model/ports.ts';
import { check } from '../model/schema.ts';
import type { Step } from '../model/step.ts';
import type { Known } from '../model/fact.ts';
import type { Answer } from './answer.ts';

/** The step's value from the agent's answer, checked against what the step yields. */
export function performed(step: Step, answer: Answer): Performed<Known> {
  if (!answer.ok) return answer;
  const read = valueOf(step, answer.value);
  if (!read.ok)
    return {
      ok: false,
      failure: { reason: 'unexpected-value', what: what(step), at: '', expected: 'JSON', actual: read.actual },
    };
  const checked = check(step.yields, read.value);
  if (checked.fits) return { ok: true, fact: known(checked.value) };
  return { ok: false, failure: { reason: 'unexpected-value', what: what(step), ...checked.mismatch } };
}

type Read = { readonly ok: true; readonly value: Json } | { readonly ok: false; readonly actual: string };

function valueOf(step: Step, value: Json): Read {
  // What yields nothing has no value to check, whatever the agent says beside "done".
  if (step.yields.type === 'null') return { ok: true, value: null };
  if (step.kind !== 'run' && step.kind !== 'shell') return { ok: true, value };
  const stdout = stdoutOf(value);
  switch (step.args.output) {
    case 'none':
      return { ok: true, value: null };
    case 'text':
      return { ok: true, value: stdout.replace(/\r?\n$/, '') };
    case 'lines':
      return { ok: true, value: stdout.split(/\r?\n/).filter((line) => line !== '') };
    case 'json':
      return parsed(stdout);
  }
}

function parsed(stdout: string): Read {
  try {
    return { ok: true, value: JSON.parse(stdout) as Json };
  } catch {
    return { ok: false, actual: stdout.trim() === '' ? 'nothing' : 'other text' };
  }
}

function stdoutOf(value: Json): string {
  const stdout =
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? (value as { readonly [key: string]: Json })['stdout']
      : '';
  return typeof stdout === 'string' ? stdout : '';
}

function what(step: Step): string {
  if (step.kind === 'probe') return step.args.ask;
  if (step.kind === 'call') return step.args.operation;
  return step.id;
}
