import type { Json } from '../model/json.ts';
import { check, s } from '../model/schema.ts';
import type { AuditedOperation, AuditedRun } from '../report/audit.ts';
import type { KeptRun } from './runs.ts';
import { summaryOf } from './verbs/history.ts';

const journalLine = s.object({ at: s.string, run: s.string, op: s.string, args: s.json, outcome: s.json });

/** A line of a device's journal (docs/agent.md); `null` for one that is none. Lines of older agents name no client. */
export function operationOf(
  device: string,
  line: string,
): { readonly run: string; readonly operation: AuditedOperation } | null {
  let json: Json;
  try {
    json = JSON.parse(line) as Json;
  } catch {
    return null;
  }
  const checked = check(journalLine, json);
  if (!checked.fits) return null;
  const { at, run, op, args, outcome } = checked.value as { readonly [field: string]: Json };
  const client = (json as { readonly [field: string]: Json })['client'];
  return {
    run: run as string,
    operation: {
      device,
      at: at as string,
      client: typeof client === 'string' ? client : '',
      op: op as string,
      args: args ?? null,
      outcome: outcome ?? null,
    },
  };
}

/** Runs from both sides, the earliest first; operations within each in the order of their times. */
export function mergeRuns(
  kept: readonly KeptRun[],
  operations: readonly { readonly run: string; readonly operation: AuditedOperation }[],
): readonly AuditedRun[] {
  const byRun = new Map<string, AuditedOperation[]>(kept.map(({ record }) => [record.run, []]));
  for (const { run, operation } of operations) byRun.set(run, [...(byRun.get(run) ?? []), operation]);
  const runs = [...byRun].map(([run, all]) => {
    const found = kept.find(({ record }) => record.run === run);
    const sorted = all.toSorted((a, b) => a.at.localeCompare(b.at));
    return auditedRun(run, found, sorted);
  });
  return runs.sort((a, b) => a.at.localeCompare(b.at));
}

function auditedRun(run: string, kept: KeptRun | undefined, operations: readonly AuditedOperation[]): AuditedRun {
  const clients = [...new Set(operations.map(({ client }) => client).filter((client) => client !== ''))];
  if (kept === undefined)
    return { run, at: operations[0]?.at ?? '', who: clients.join(', ') || 'somebody', here: null, operations };
  const { record } = kept;
  const { outcome, status } = summaryOf(kept, []);
  return {
    run,
    at: record.at,
    who: record.about?.client ?? (record.who || 'somebody'),
    here: {
      commandLine: record.about?.commandLine ?? record.goals.join(' '),
      commit: record.about?.commit ?? null,
      targets: record.about?.targets ?? [],
      outcome,
      status,
    },
    operations,
  };
}
