import { STATUS } from '../../model/exit-status.ts';
import type { Failure } from '../../model/failure.ts';
import { auditLines, type AuditedOperation } from '../../report/audit.ts';
import { mergeRuns, operationOf } from '../audit-log.ts';
import type { Context } from '../context.ts';
import { askOn, askedDevices, maskedOutput, openPlaces, tellFailure } from '../on-device.ts';
import type { Places } from '../places.ts';
import { print, say, type Manner } from '../reporting.ts';
import { newRunId, readRuns } from '../runs.ts';

/** Lines of a device's journal that are looked at. */
const MAX_LINES = 10_000;

/** What a journal could not tell: lines that are no records, one that never ended, older ones left out. */
interface Gap {
  readonly where: string;
  readonly damaged: number;
  readonly cutShort: boolean;
  readonly older: number;
}

/** Who did what: the journals of the devices and those kept here, merged by run; what they lost is told. */
export async function audit(context: Context, manner: Manner, device: string | null): Promise<number> {
  const devices = askedDevices(context, device);
  const kept = readRuns(context.slipwayDir);
  const gaps: Gap[] = kept
    .filter(({ cutShort, damaged }) => cutShort || damaged > 0)
    .map(({ record, cutShort, damaged }) => ({ where: `run ${record.run} here`, damaged, cutShort, older: 0 }));
  const operations: { readonly run: string; readonly operation: AuditedOperation }[] = [];
  let failed = false;
  const places = openPlaces(context, newRunId(new Date()));
  try {
    for (const name of devices) {
      const journal = await readJournal(context, places, name);
      if (!journal.ok) {
        failed = true;
        tellFailure(journal.failure, `${name}: `);
        continue;
      }
      operations.push(...journal.operations);
      if (journal.gap.damaged > 0 || journal.gap.cutShort || journal.gap.older > 0) gaps.push(journal.gap);
    }
  } finally {
    await places.close();
  }
  const runs = mergeRuns(kept, operations).filter(
    ({ here, operations: done }) => device === null || done.length > 0 || here?.targets.includes(device) === true,
  );
  if (manner.output === 'json') print(JSON.stringify({ runs, gaps }));
  else {
    for (const run of runs) for (const line of auditLines(run)) print(line);
    if (runs.length === 0) print('nobody did anything yet');
    for (const gap of gaps) say(gapWords(gap));
  }
  return failed ? STATUS.failed : STATUS.done;
}

type Read =
  | {
      readonly ok: true;
      readonly operations: readonly { readonly run: string; readonly operation: AuditedOperation }[];
      readonly gap: Gap;
    }
  | { readonly ok: false; readonly failure: Failure };

async function readJournal(context: Context, places: Places, device: string): Promise<Read> {
  const parts: string[] = [];
  const { output, flush } = maskedOutput(context, device, (stream, text) => {
    if (stream === 'stdout') parts.push(text);
  });
  const answer = await askOn(places, device, 'device.journal', { lines: MAX_LINES }, { output });
  if (!answer.ok) return answer;
  flush();
  const { damaged, cutShort, older } = answer.value as unknown as Gap;
  const lines = parts.join('').split('\n').slice(0, -1);
  const operations = lines.flatMap((line) => operationOf(device, line) ?? []);
  return { ok: true, operations, gap: { where: device, damaged, cutShort, older } };
}

function gapWords({ where, damaged, cutShort, older }: Gap): string {
  const what = [
    ...(damaged > 0 ? [`${String(damaged)} ${damaged === 1 ? 'line is' : 'lines are'} no record`] : []),
    ...(cutShort ? ['the last line was cut short'] : []),
    ...(older > 0 ? [`${String(older)} older lines are left out`] : []),
  ];
  return `the journal of ${where}: ${what.join(', ')}; the rest is as it was written`;
}
