import { STATUS, statusOfFailure } from '../../model/exit-status.ts';
import { UsageError } from '../../model/failure.ts';
import { Lines, neutral } from '../../report/neutral.ts';
import type { Context } from '../context.ts';
import { askOn, maskedOutput, oneDevice, openPlaces, tellFailure } from '../on-device.ts';
import { newRunId } from '../runs.ts';
import { cancelOnSignals } from '../signals.ts';
import { didYouMean } from '../suggest.ts';

/** The longest that a log is followed: what a timer can hold, in ms. */
const FOLLOW_MS = 2_000_000_000;

interface Asked {
  readonly service: string;
  readonly follow: boolean;
  readonly lines: number;
  readonly color: boolean;
}

/** Shows a service's log; followed, it goes on until a signal, whose status it ends with, or until nobody reads it. */
export async function logs(context: Context, { service, follow, lines, color }: Asked): Promise<number> {
  const device = oneDevice(context);
  const places = openPlaces(context, newRunId(new Date()));
  const { cancel, release } = cancelOnSignals();
  const reader = { gone: false };
  process.stdout.on('error', () => {
    reader.gone = true;
    cancel.cancel({ reason: 'cancelled', signal: 'SIGHUP' });
  });
  try {
    const known = await askOn(places, device, 'service.names', {}, { cancel });
    if (!known.ok) return reader.gone ? STATUS.done : tellFailure(known.failure);
    refuseUnknown(service, device, (known.value as { readonly names: readonly string[] }).names);
    const { output, flush } = maskedOutput(context, device, writer(color));
    const args = { name: service, lines, follow };
    const answer = await askOn(places, device, 'service.logs', args, { output, cancel, timeoutMs: FOLLOW_MS });
    flush();
    if (answer.ok || reader.gone) return STATUS.done;
    return answer.failure.reason === 'cancelled' ? statusOfFailure(answer.failure) : tellFailure(answer.failure);
  } finally {
    await places.close();
    release();
  }
}

function refuseUnknown(service: string, device: string, names: readonly string[]): void {
  if (names.includes(service)) return;
  const there = names.length === 0 ? `${device} has none yet` : `${device} has ${names.join(', ')}`;
  throw new UsageError(`no service ${service}`, didYouMean(service, names, there));
}

/** To a terminal nothing that could steer it, line by line; to a file or a program as it is. */
function writer(color: boolean): (stream: 'stdout' | 'stderr', text: string) => void {
  if (!process.stdout.isTTY) return (stream, text) => void process[stream].write(text);
  const lines = new Lines();
  return (stream, text) => {
    for (const line of lines.add(stream, text)) process[stream].write(`${neutral(line, color)}\n`);
  };
}
