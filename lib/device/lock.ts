import { setTimeout as rest } from 'node:timers/promises';
import type { Cancel } from '../model/ports.ts';
import type { Answer } from './answer.ts';
import type { Limits } from './limits.ts';
import type { Session } from './session.ts';

/** Between two attempts at a lock that our own lost session still holds, in ms. */
const RELOCK_EVERY_MS = 200;

interface Wanted {
  readonly name: string;
  readonly client: string;
  readonly run: string;
  readonly cancel: Cancel | null;
  /** Wait for our own lost session to let go. Somebody else's lock is never waited for. */
  readonly patient: boolean;
  readonly limits: Limits;
}

/**
 * Takes a lock. After a connection broke, the device may not know yet: the agent of the lost session still holds the
 * lock, perhaps in the middle of an operation. It is asked to end (TERM lets it finish its clean-up) and waited for.
 */
export async function takeLock(session: Session, wanted: Wanted): Promise<Answer> {
  const { name, client, cancel, limits } = wanted;
  const deadline = performance.now() + limits.relockMs;
  let asked = false;
  for (;;) {
    const answer = await session.request({ op: 'lock', args: { name, client }, cancel, timeoutMs: limits.operationMs });
    if (answer.ok || !wanted.patient || answer.failure.reason !== 'lock-held' || performance.now() > deadline)
      return answer;
    const pid = ownHolder(answer.failure.holder, wanted);
    if (pid === null) return answer;
    if (!asked) await endHolder(session, pid, limits);
    asked = true;
    await rest(RELOCK_EVERY_MS);
  }
}

/** The agent's process when the lock's holder is an earlier session of this very run, otherwise `null`. */
function ownHolder(holder: string, { run, client }: Wanted): number | null {
  try {
    const text = JSON.parse(holder) as { readonly run?: unknown; readonly client?: unknown; readonly pid?: unknown };
    return text.run === run && text.client === client && typeof text.pid === 'number' && text.pid > 1 ? text.pid : null;
  } catch {
    return null;
  }
}

async function endHolder(session: Session, pid: number, limits: Limits): Promise<void> {
  const args = {
    argv: ['kill', '-TERM', String(pid)],
    cwd: '.',
    env: {},
    timeoutMs: limits.closeMs,
    graceMs: limits.closeMs,
    capture: true,
    okExits: [0, 1],
  };
  await session.request({ op: 'run', args, cancel: null, timeoutMs: limits.operationMs });
}
