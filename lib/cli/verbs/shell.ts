import { spawn } from 'node:child_process';
import { REHEARSAL, deviceConfig } from '../../config/device.ts';
import { lookupFor } from '../../config/lookup.ts';
import { shellArgv, type ShellPlace } from '../../device/shell.ts';
import type { CancelSource } from '../../engine/cancel.ts';
import { STATUS, statusOfFailure } from '../../model/exit-status.ts';
import { StepFailed, type Signal } from '../../model/failure.ts';
import { aboutRun } from '../about-run.ts';
import type { Context } from '../context.ts';
import { askOn, oneDevice, openPlaces, tellFailure, tellRehearsal } from '../on-device.ts';
import { say } from '../reporting.ts';
import { recordedRun } from '../verb-run.ts';

/** ssh's own status when it could not connect, or the connection went. */
const SSH_FAILED = 255;
/** Variables that the login on the device has of its own. */
const OF_THE_LOGIN = ['PATH', 'HOME', 'LANG'];

/** A shell in the current release on a device; both journals say that it began and ended. */
export async function shell(context: Context, { service }: { readonly service: string | null }): Promise<number> {
  const device = oneDevice(context);
  if (!process.stdin.isTTY || !process.stdout.isTTY)
    throw new StepFailed({
      reason: 'refused',
      message: 'a shell needs a terminal; exec -- CMD runs a command without one',
    });
  return recordedRun(
    context,
    `shell on ${device}`,
    aboutRun(context, [device]),
    async (run, cancel) => {
      const places = openPlaces(context, run);
      try {
        const begun = await askOn(places, device, 'shell.begin', service === null ? {} : { service }, { cancel });
        if (!begun.ok) return tellFailure(begun.failure);
        const status = await inTerminal(context, device, begun.value as unknown as ShellPlace, cancel);
        const ended = await askOn(places, device, 'shell.end', { status });
        if (!ended.ok) tellFailure(ended.failure, 'its end is not in the journal there: ');
        if (cancel.cancelled) return statusOfFailure(cancel.cancelled);
        return device !== REHEARSAL && status === SSH_FAILED ? STATUS.failed : STATUS.done;
      } finally {
        await places.close();
        tellRehearsal(device);
      }
    },
    exceptInterrupt,
  );
}

/** Ctrl-C is the shell's: the terminal sends it to both, and this side waits for the shell to end. */
const exceptInterrupt = (signal: Signal): boolean => signal !== 'SIGINT';

/** The shell itself, with this terminal; on the rehearsal device, which is this machine, without a connection. */
function inTerminal(context: Context, device: string, place: ShellPlace, cancel: CancelSource): Promise<number | null> {
  const here = device === REHEARSAL;
  const [command = '', ...args] = here
    ? [process.env['SHELL'] ?? '/bin/sh']
    : shellArgv(deviceConfig(device, lookupFor(context.sources, device)), withoutLogin(place));
  const env = here ? { ...place.env, TERM: process.env['TERM'] ?? 'dumb' } : process.env;
  say(`${device}: a shell in ${place.cwd}; "exit" ends it`);
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: 'inherit', env, ...(here ? { cwd: place.cwd } : {}) });
    const withdraw = cancel.onCancel((why) => {
      if (why.reason === 'cancelled') child.kill(why.signal);
    });
    const done = (status: number | null): void => {
      withdraw();
      resolve(status);
    };
    child.once('error', () => {
      say(`there is no command ${command}: install it, or set PATH`);
      done(SSH_FAILED);
    });
    child.once('close', (status) => done(status));
  });
}

const withoutLogin = ({ cwd, env }: ShellPlace): ShellPlace => ({
  cwd,
  env: Object.fromEntries(Object.entries(env).filter(([name]) => !OF_THE_LOGIN.includes(name))),
});
