import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { lookupFor } from '../../config/lookup.ts';
import { secretsFor } from '../../config/secrets.ts';
import { readPacked, sizeOf } from '../../device/packed.ts';
import { askPreflight } from '../../device/preflight.ts';
import { budgetOf } from '../../device/room.ts';
import { binaries } from '../../host/binaries.ts';
import { STATUS } from '../../model/exit-status.ts';
import { UsageError, type Failure } from '../../model/failure.ts';
import type { Json } from '../../model/json.ts';
import type { Budget } from '../../ops/budget.ts';
import type { Check } from '../../ops/checks.ts';
import { needsOf } from '../../ops/preflight.ts';
import { examinedLines, type Examined } from '../../report/doctor.ts';
import { explainFailure } from '../../report/explain.ts';
import type { Context } from '../context.ts';
import { askOn, askedDevices, openPlaces, tellRehearsal } from '../on-device.ts';
import { plannedRelease, type PlannedRelease } from '../planned-checks.ts';
import type { Places } from '../places.ts';
import { print, type Manner } from '../reporting.ts';
import { newRunId } from '../runs.ts';

/** Asks everything that a deploy would ask before it sends anything, and changes nothing; 3 when one would be refused. */
export async function doctor(context: Context, manner: Manner, device: string | null): Promise<number> {
  const devices = askedDevices(context, device);
  const places = openPlaces(context, newRunId(new Date()));
  const examined: Examined[] = [];
  try {
    for (const name of devices) examined.push(await examine(context, places, name));
  } finally {
    await places.close();
  }
  if (manner.output === 'json') print(JSON.stringify({ devices: examined }));
  else for (const one of examined) for (const line of examinedLines(one, manner.color)) print(line);
  if (devices.length === 1) tellRehearsal(devices[0] ?? '');
  return examined.some(({ checks }) => checks.some(({ state }) => state === 'problem')) ? STATUS.refused : STATUS.done;
}

async function examine(context: Context, places: Places, name: string): Promise<Examined> {
  const here = secretChecks(context, name);
  const facts = await askOn(places, name, 'device.facts').catch(notConfigured);
  if (!facts.ok) return { name, checks: [...here, refusalOf(facts.failure)], budget: null };
  const { system } = context.project;
  const planned = plannedRelease(context, name);
  const needs = system === undefined ? { database: false, web: false } : needsOf(system);
  const judged = await askPreflight((op, args) => askOn(places, name, op, args), needs, true);
  const release = planned === null ? [] : [releaseCheck(context, planned, facts.value as unknown as Facts)];
  const room = await roomChecks(context, places, name, planned);
  return {
    name,
    checks: [...here, ...(judged.ok ? judged.checks : [refusalOf(judged.failure)]), ...release, ...room.checks],
    budget: room.budget,
  };
}

interface Facts {
  readonly architecture: string;
  readonly wheelPlatforms: readonly string[];
}

/** A device without a host is a finding of the doctor's, too. */
function notConfigured(error: unknown): { readonly ok: false; readonly failure: Failure } {
  if (!(error instanceof UsageError)) throw error;
  return { ok: false, failure: { reason: 'refused', message: `${error.message}; ${error.hint ?? ''}` } };
}

/** What kept the device from being asked: its root where that is it, otherwise the way there. */
function refusalOf(failure: Failure): Check {
  const { message, next } = explainFailure(failure);
  if (failure.reason === 'device-refused' && failure.code === 'root-unwritable')
    return {
      check: 'root',
      state: 'problem',
      says: failure.detail,
      next: 'give it to the login user, or see dmesg and remount it where the disk is read-only',
    };
  return { check: failure.reason === 'no-python' ? 'python' : 'connection', state: 'problem', says: message, next };
}

function secretChecks({ project, sources, slipwayDir }: Context, name: string): readonly Check[] {
  const names = project.system?.secrets ?? [];
  if (names.length === 0) return [];
  const secrets = secretsFor(names, lookupFor(sources, name), slipwayDir);
  if (secrets.ok) return [{ check: 'secrets', state: 'ok', says: `${String(names.length)} set`, next: '' }];
  const { message, next } = explainFailure(secrets.failure);
  return [{ check: 'secrets', state: 'problem', says: message, next }];
}

/** The programs of the release that lies packed here, if one does, against the device. */
function releaseCheck({ projectDir }: Context, { tree, foreign }: PlannedRelease, facts: Facts): Check {
  if (!existsSync(join(projectDir, tree, 'manifest.json')))
    return { check: 'release', state: 'ok', says: 'nothing is built yet that could be looked at', next: '' };
  const { architecture, wheelPlatforms: platforms } = facts;
  const { fits, why, architectures } = binaries({ tree, architecture, platforms, foreign }, projectDir);
  if (!fits)
    return {
      check: 'release',
      state: 'problem',
      says: `${why}; the device is ${architecture}`,
      next: 'build it for this device',
    };
  const programs = architectures.length === 0 ? 'no compiled programs' : `programs for ${architectures.join(', ')}`;
  return { check: 'release', state: 'ok', says: `${programs}; the device is ${architecture}`, next: '' };
}

interface Room {
  readonly freeBytes: number;
  readonly neededBytes: number;
  readonly freeInodes: number;
  readonly memoryMb: number;
  readonly problems: readonly { readonly what: keyof typeof NEXT; readonly says: string }[];
}

const NEXT = {
  disk: 'remove what is not needed there; "status" shows the releases that are kept',
  memory: "lower the services' memoryMb or reservedMb, or leave a service out",
  port: 'see who has it: ss -ltnp on the device',
  tools: 'install it on the device with apt-get',
} as const;

async function roomChecks(
  { project: { system }, projectDir }: Context,
  places: Places,
  name: string,
  planned: PlannedRelease | null,
): Promise<{ readonly checks: readonly Check[]; readonly budget: Budget | null }> {
  const packed = planned === null ? null : readPacked(projectDir, planned.tree);
  const size = packed?.ok === true ? sizeOf(packed.packed) : { bytes: 0, files: 0 };
  const { services = [], reservedMb = 0, boardMb = 0, web } = system ?? {};
  const args = { services, reservedMb, boardMb, ...(web && { web }), ...size } as unknown as {
    readonly [name: string]: Json;
  };
  const answer = await askOn(places, name, 'device.room', args);
  if (!answer.ok) return { checks: [refusalOf(answer.failure)], budget: null };
  const room = answer.value as unknown as Room;
  const problem = (what: keyof typeof NEXT): Check[] => {
    const says = room.problems.filter((one) => one.what === what).map((one) => one.says);
    return says.length === 0 ? [] : [{ check: what, state: 'problem', says: says.join('; '), next: NEXT[what] }];
  };
  const fine = (what: keyof typeof NEXT, says: string): Check[] => {
    const found = problem(what);
    return found.length > 0 ? found : [{ check: what, state: 'ok', says, next: '' }];
  };
  const budget = system === undefined ? null : budgetOf(args, answer.value);
  const disk = `${megabytes(room.freeBytes)} free, ${megabytes(room.neededBytes)} needed; ${String(room.freeInodes)} inodes free`;
  return {
    checks: [
      ...fine('disk', disk),
      ...(budget === null ? [] : fine('memory', `${String(budget.headroomMb)} MB headroom`)),
      ...problem('port'),
      ...problem('tools'),
    ],
    budget,
  };
}

const megabytes = (bytes: number): string => `${String(Math.floor(bytes / 2 ** 20))} MB`;
