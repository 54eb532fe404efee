import { REHEARSAL, configuredDevices, deviceConfig } from '../../config/device.ts';
import { lookupFor } from '../../config/lookup.ts';
import { StepFailed } from '../../model/failure.ts';
import { explainFailure } from '../../report/explain.ts';
import { addressOf, type DeviceStatus } from '../afterwards.ts';
import type { Context } from '../context.ts';
import { STATUS } from '../../model/exit-status.ts';
import { createPlaces } from '../places.ts';
import { print, say, type Manner } from '../reporting.ts';
import { newRunId } from '../runs.ts';

interface Shown {
  readonly name: string;
  readonly url: string | null;
  readonly current: string | null;
  readonly releases: readonly { readonly id: string; readonly state: string }[];
  readonly services: readonly { readonly name: string; readonly state: string }[];
}

/** Asks every configured device, and the rehearsal device where nothing else is configured or it was used. */
export async function status(context: Context, manner: Manner): Promise<number> {
  const names = [...configuredDevices(context.sources, context.project.devices ?? []), REHEARSAL];
  const places = createPlaces({
    ...context,
    run: newRunId(new Date()),
    opaque: new Map(),
    paramSecrets: new Map(),
    consent: new Set(),
  });
  const devices: Shown[] = [];
  let failed = false;
  try {
    for (const name of names) {
      const answer = await ask(() => places.device(name).then((device) => device.ask('release.status')));
      if (answer.ok) devices.push(shown(context, name, answer.value as unknown as DeviceStatus));
      else {
        failed = true;
        const { message, next } = explainFailure(answer.failure);
        say(`${name}: ${message}; ${next}`);
      }
    }
  } finally {
    await places.close();
  }
  if (manner.output === 'json') print(JSON.stringify({ devices }));
  else for (const device of devices) for (const line of lines(device)) print(line);
  if (names.length === 1) say('REHEARSAL: nothing reached a real board');
  return failed ? STATUS.failed : STATUS.done;
}

type Asked = Awaited<ReturnType<Awaited<ReturnType<ReturnType<typeof createPlaces>['device']>>['ask']>>;

async function ask(asking: () => Promise<Asked>): Promise<Asked> {
  try {
    return await asking();
  } catch (error) {
    if (error instanceof StepFailed) return { ok: false, failure: error.failure };
    throw error;
  }
}

function shown(context: Context, name: string, status: DeviceStatus): Shown {
  const host = name === REHEARSAL ? '127.0.0.1' : deviceConfig(name, lookupFor(context.sources, name)).host;
  return {
    name,
    url: addressOf(status, host),
    current: status.current,
    releases: status.releases.map(({ id, state }) => ({ id, state })),
    services: status.services.map(({ name: service, state }) => ({ name: service, state })),
  };
}

function lines({ name, url, current, releases, services }: Shown): readonly string[] {
  return [
    `${name}: ${current === null ? 'no release yet' : `release ${current}`}${url === null ? '' : ` at ${url}`}`,
    ...services.map((service) => `  ${service.name.padEnd(16)} ${service.state}`),
    ...releases.map(
      (release) => `  release ${release.id}  ${release.state}${release.id === current ? ' (current)' : ''}`,
    ),
  ];
}
