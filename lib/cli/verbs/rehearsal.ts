import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { REHEARSAL } from '../../config/device.ts';
import { explainFailure } from '../../report/explain.ts';
import type { Context } from '../context.ts';
import { STATUS } from '../../model/exit-status.ts';
import { openPlaces } from '../on-device.ts';
import { say } from '../reporting.ts';
import { newRunId } from '../runs.ts';

/** Ends everything that the rehearsal device runs; its releases and data stay. */
export async function stopRehearsal(context: Context): Promise<number> {
  if (!existsSync(join(context.slipwayDir, REHEARSAL))) {
    say('the rehearsal device was never used here');
    return STATUS.done;
  }
  const places = openPlaces(context, newRunId(new Date()));
  try {
    const answer = await (await places.device(REHEARSAL)).ask('stop-all');
    say(answer.ok ? 'the rehearsal device runs nothing any more' : explainFailure(answer.failure).message);
    return answer.ok ? STATUS.done : STATUS.failed;
  } finally {
    await places.close();
  }
}
