import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { REHEARSAL, configuredDevices } from '../config/device.ts';
import { lookupFor } from '../config/lookup.ts';
import { secretsFor } from '../config/secrets.ts';
import type { Answer } from '../device/answer.ts';
import type { Attended } from '../device/performer.ts';
import { createMask } from '../host/mask.ts';
import { StepFailed, UsageError, type Failure } from '../model/failure.ts';
import { statusOfFailure, type Status } from '../model/exit-status.ts';
import type { Json } from '../model/json.ts';
import { explainFailure, messageLines } from '../report/explain.ts';
import { targetOf, type Context } from './context.ts';
import { createPlaces, type Places } from './places.ts';
import { say } from './reporting.ts';
import { didYouMean } from './suggest.ts';

/** The one device that a verb is about: `--device`, then DEPLOY_TO, or rehearsal while no other is configured. */
export function oneDevice(context: Context): string {
  const name = targetOf(context, '--device');
  const known = [...configuredDevices(context.sources, context.project.devices ?? []), REHEARSAL];
  if (!known.includes(name))
    throw new UsageError(
      `device ${name} is not configured`,
      didYouMean(name, known, `configured: ${known.join(', ')}; see README: first deploy to your board`),
    );
  return name;
}

/** The devices that a question to all of them is for: the given one, or those configured and rehearsal where it was used. */
export function askedDevices(context: Context, given: string | null): readonly string[] {
  if (given !== null) return [oneDevice(context)];
  const real = configuredDevices(context.sources, context.project.devices ?? []);
  const used = existsSync(join(context.slipwayDir, REHEARSAL));
  return real.length === 0 || used ? [...real, REHEARSAL] : real;
}

/** The places of a verb that runs no plan. */
export const openPlaces = (context: Context, run: string): Places =>
  createPlaces({ ...context, run, opaque: new Map(), paramSecrets: new Map(), consent: new Set() });

/** Asks a device; what it takes to reach it may fail as well. */
export async function askOn(
  places: Places,
  name: string,
  op: string,
  args: { readonly [name: string]: Json } = {},
  attended: Attended = {},
): Promise<Answer> {
  try {
    return await (await places.device(name)).ask(op, args, attended);
  } catch (error) {
    if (error instanceof StepFailed) return { ok: false, failure: error.failure };
    throw error;
  }
}

/** Passes a device's output on, its secrets hidden; `flush` at the end. */
export function maskedOutput(
  context: Context,
  device: string,
  write: (stream: 'stdout' | 'stderr', text: string) => void,
): {
  readonly output: NonNullable<Attended['output']>;
  readonly flush: () => void;
  readonly mask: (text: string) => string;
} {
  const { sources, project, slipwayDir } = context;
  const secrets = secretsFor(project.system?.secrets ?? [], lookupFor(sources, device), slipwayDir);
  const mask = createMask(secrets.values.values());
  const streams = { stdout: mask.stream(), stderr: mask.stream() };
  return {
    output: (stream, text) => write(stream, streams[stream].push(text)),
    flush: () => {
      write('stdout', streams.stdout.flush());
      write('stderr', streams.stderr.flush());
    },
    mask: (text) => mask.text(text),
  };
}

/** Tells a failure on standard error; its exit status. */
export function tellFailure(failure: Failure, prefix = ''): Status {
  for (const line of messageLines(failure)) say(`${prefix}${line}`);
  say(`  ${explainFailure(failure).next}`);
  return statusOfFailure(failure);
}

export const tellRehearsal = (device: string): void => {
  if (device === REHEARSAL) say('REHEARSAL: nothing reached a real board');
};
