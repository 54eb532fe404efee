import type { DeviceTarget } from '../model/device.ts';
import { REHEARSAL, deviceConfig, rehearsalHttpPort, sudoPassword } from '../config/device.ts';
import { lookupFor, type Sources } from '../config/lookup.ts';
import { secretsFor } from '../config/secrets.ts';
import type { DevicePerformer } from '../device/performer.ts';
import { settleRefs } from '../engine/facts.ts';
import { createHostPerformer, type HostPerformer } from '../host/performer.ts';
import { openStarter } from '../host/starter.ts';
import { createMask, type Mask } from '../host/mask.ts';
import type { Known } from '../model/fact.ts';
import { unknown } from '../model/fact.ts';
import { StepFailed, type Failure } from '../model/failure.ts';
import type { Json } from '../model/json.ts';
import type { LivePerformer, Performed, Performing } from '../model/ports.ts';
import type { OpaqueBody } from '../model/opaque.ts';
import { isExpr, type Expr, type StepId } from '../model/ref.ts';
import { HERE, type Place, type Step } from '../model/step.ts';
import { channelSecrets } from './channels.ts';
import type { Folders, Project } from './project.ts';

export interface PlacesOptions extends Folders {
  readonly project: Project;
  readonly run: string;
  /** Of an undo: the run that it puts back, in whose name devices kept what they are asked for. */
  readonly undoes?: string;
  readonly sources: Sources;
  readonly opaque: ReadonlyMap<StepId, OpaqueBody>;
  /** Values of secret params by `TASK.PARAM`. */
  readonly paramSecrets: ReadonlyMap<string, string>;
  /** Names of irreversible steps that may be performed. */
  readonly consent: ReadonlySet<string>;
  /** How many commands the plan has here. */
  readonly commands?: number;
}

/** The live performers of all places of a run, each made when it is first needed. */
export interface Places extends LivePerformer {
  device(name: string): Promise<DevicePerformer>;
  close(): Promise<void>;
}

/** A shorter secret is found in too many values by chance, in characters. */
const MIN_TELLING = 8;

/** One side of the router: a performer, and the secrets that it may resolve. */
interface Side {
  readonly performer: LivePerformer;
  readonly secrets: ReadonlyMap<string, string>;
  /** What no step may ask for, and nothing may show. */
  readonly hidden: readonly string[];
}

/** Takes each step to the performer of its place, secrets resolved at the last moment and hidden in what comes back. */
export function createPlaces(options: PlacesOptions): Places {
  const host = createHostPerformer({
    ...options,
    secrets: options.paramSecrets,
    lookupEnv: (name) => lookupFor(options.sources, null).get(name)?.value,
    channelSecret: channelSecrets(options.sources, options.paramSecrets),
    starter: openStarter(options.commands ?? 0),
  });
  const devices = new Map<string, Promise<Device>>();
  const deviceOf = (name: string): Promise<Device> => {
    const opened = devices.get(name) ?? openDevice(name, options);
    devices.set(name, opened);
    return opened;
  };
  const sideOf = async (place: Place): Promise<Side> =>
    place === HERE ? { performer: host, secrets: options.paramSecrets, hidden: [] } : deviceOf(place);
  return {
    explores: false,
    perform: (step, performing) => perform(options, sideOf, step, performing),
    async enter(scope, performing) {
      try {
        return await (await sideOf(scope.place)).performer.enter(scope, performing);
      } catch (error) {
        if (error instanceof StepFailed) return { ok: false, failure: error.failure };
        throw error;
      }
    },
    serviceEnded: (task, performing) => host.serviceEnded(task, performing),
    device: async (name) => (await deviceOf(name)).performer,
    close: () => close(host, devices),
  };
}

async function perform(
  options: PlacesOptions,
  sideOf: (place: Place) => Promise<Side>,
  step: Step,
  performing: Performing,
): Promise<Performed<Known>> {
  if (step.confirm !== undefined && !options.consent.has(step.confirm)) {
    return { ok: false, failure: { reason: 'not-confirmed', what: step.confirm } };
  }
  const side = await sideOf(step.place);
  // Its secrets are those of the device that it is about, and a missing one fails nothing.
  if (step.kind === 'notify') return side.performer.perform(step, performing);
  const resolve = (name: string): string | undefined => side.secrets.get(name) ?? options.paramSecrets.get(name);
  const args = settleRefs(step.args as unknown as Json, { fact: () => unknown, secret: resolve });
  const missing = unresolvedSecret(args);
  if (missing !== null)
    return { ok: false, failure: { reason: 'missing-secret', names: [missing], where: `.env.${step.place}` } };
  const resolved = { ...step, args } as unknown as Step;
  const secrets = [...side.secrets.values(), ...options.paramSecrets.values(), ...side.hidden];
  const telling = secrets.filter((value) => value.length >= MIN_TELLING);
  if (step.place === HERE)
    return plainly(step, await side.performer.perform(resolved, performing), createMask(telling));
  const mask = createMask(secrets);
  const streams = { stdout: mask.stream(), stderr: mask.stream() };
  const performed = await side.performer.perform(resolved, {
    ...performing,
    output: (stream, text) => performing.output(stream, streams[stream].push(text)),
  });
  for (const stream of ['stdout', 'stderr'] as const) {
    const rest = streams[stream].flush();
    if (rest !== '') performing.output(stream, rest);
  }
  return performed.ok
    ? plainly(step, performed, createMask(telling))
    : { ok: false, failure: JSON.parse(mask.text(JSON.stringify(performed.failure))) as Failure };
}

/** A value from outside must not look like a ref or a secret, which would be taken for one further on, nor hold a secret. */
function plainly(step: Step, performed: Performed<Known>, mask: Mask): Performed<Known> {
  if (!performed.ok) return performed;
  const odd = markIn(performed.fact.value);
  if (odd !== null) return unexpected(step, odd, 'no key that begins with $', odd);
  const text = JSON.stringify(performed.fact.value);
  // A value is journaled as it is: masked, it would be another one when a run is recovered.
  return mask.text(text) === text
    ? performed
    : unexpected(step, '', 'a value without a secret in it', 'one that shows it');
}

function unexpected(step: Step, at: string, expected: string, actual: string): Performed<Known> {
  return { ok: false, failure: { reason: 'unexpected-value', what: step.id, at, expected, actual } };
}

function markIn(value: Json): string | null {
  if (value === null || typeof value !== 'object') return null;
  for (const [key, field] of Object.entries(value)) {
    if (key.startsWith('$')) return key;
    const found = markIn(field);
    if (found !== null) return found;
  }
  return null;
}

function unresolvedSecret(value: Json): string | null {
  if (value === null || typeof value !== 'object') return null;
  if (isExpr(value)) {
    const expr: Expr = value;
    if ('$secret' in expr) return expr.$secret;
  }
  for (const field of Object.values(value)) {
    const found = unresolvedSecret(field);
    if (found !== null) return found;
  }
  return null;
}

interface Device extends Side {
  readonly performer: DevicePerformer;
  close(): Promise<void>;
}

async function openDevice(name: string, options: PlacesOptions): Promise<Device> {
  const { sources, slipwayDir, project, run, undoes = run, projectDir } = options;
  const lookup = lookupFor(sources, name);
  // To look at a device takes none of them: one that is missing fails the step that needs it.
  const secrets = secretsFor(project.system?.secrets ?? [], lookup, slipwayDir);
  const reached = await reach(name, options);
  const { createDevicePerformer } = await import('../device/performer.ts');
  const password = name === REHEARSAL ? null : sudoPassword(name, lookup);
  const performer = createDevicePerformer({
    device: reached.target,
    run: undoes,
    secrets: secrets.values,
    projectDir,
    environment: sources.environment,
    sudoPassword: password,
    lookup: (variable) => (name === REHEARSAL ? lookup.own(variable) : lookup.get(variable))?.value,
  });
  return {
    performer,
    secrets: secrets.values,
    hidden: password === null ? [] : [password],
    async close() {
      await performer.close();
      await reached.close();
    },
  };
}

/** Where a device is: the rehearsal device is started, a real one is looked up. */
async function reach(
  name: string,
  { sources, slipwayDir, project }: PlacesOptions,
): Promise<{ readonly target: DeviceTarget; readonly close: () => Promise<void> }> {
  const lookup = lookupFor(sources, name);
  if (name !== REHEARSAL) {
    const target = deviceConfig(name, lookup);
    const supervisor = target.supervisor ?? project.system?.supervisor ?? 'plain';
    return { target: { ...target, supervisor }, close: () => Promise.resolve() };
  }
  const { startRehearsalDevice } = await import('../rehearsal/device.ts');
  const rehearsal = await startRehearsalDevice({ slipwayDir, name, httpPort: rehearsalHttpPort(lookup) });
  return { target: rehearsal.device, close: () => rehearsal.close() };
}

async function close(host: HostPerformer, devices: ReadonlyMap<string, Promise<Device>>): Promise<void> {
  const opened = await Promise.allSettled(devices.values());
  await Promise.all(opened.flatMap((device) => (device.status === 'fulfilled' ? [device.value.close()] : [])));
  await host.close();
}
