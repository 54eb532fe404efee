import { STATUS, statusOfFailure } from '../../model/exit-status.ts';
import type { Failure } from '../../model/failure.ts';
import { quoteWord } from '../../report/quote.ts';
import { aboutRun } from '../about-run.ts';
import type { Context } from '../context.ts';
import { askOn, maskedOutput, oneDevice, openPlaces, tellFailure, tellRehearsal } from '../on-device.ts';
import { say } from '../reporting.ts';
import { recordedRun } from '../verb-run.ts';

/** The longest that a command may take: what a timer can hold, in ms. */
const COMMAND_MS = 2_000_000_000;
/** Statuses above mean signals, and 126 and 127 a shell's own trouble. */
const MAX_STATUS = 125;

interface Asked {
  readonly command: readonly string[];
  readonly service: string | null;
}

/** Runs a command in the current release on a device; its own status, 1 to 125, becomes this one's. */
export async function exec(context: Context, { command, service }: Asked): Promise<number> {
  const device = oneDevice(context);
  const { output, flush, mask } = maskedOutput(context, device, (stream, text) => void process[stream].write(text));
  const told = command.map(mask);
  const goal = `exec on ${device}: ${told.map(quoteWord).join(' ')}`;
  const about = aboutRun(context, [device]);
  return recordedRun(context, goal, { ...about, commandLine: mask(about.commandLine) }, async (run, cancel) => {
    const places = openPlaces(context, run);
    try {
      const args = { argv: command, told, ...(service === null ? {} : { service }) };
      const answer = await askOn(places, device, 'release.exec', args, { output, cancel, timeoutMs: COMMAND_MS });
      flush();
      return answer.ok ? STATUS.done : statusFor(answer.failure);
    } finally {
      await places.close();
      tellRehearsal(device);
    }
  });
}

function statusFor(failure: Failure): number {
  if (failure.reason === 'cancelled') return statusOfFailure(failure);
  if (failure.reason !== 'exit-non-zero') return tellFailure(failure);
  if (failure.exitCode <= MAX_STATUS) return failure.exitCode;
  say(`the command ended with status ${String(failure.exitCode)}`);
  return STATUS.failed;
}
