import { configReport } from '../../config/report.ts';
import { secretsOfChannel } from '../../model/channel.ts';
import type { Context } from '../context.ts';
import { STATUS } from '../../model/exit-status.ts';
import { print, type Manner } from '../reporting.ts';

/** Shows each value that is in force and where it comes from; secrets are masked. */
export function config(context: Context, manner: Manner): number {
  const { project, sources } = context;
  const variables = [...new Set(project.tasks.flatMap(({ spec }) => spec.env ?? []))];
  const rows = configReport(sources, {
    devices: project.devices ?? [],
    secrets: project.system?.secrets ?? [],
    variables,
    channels: [...new Set((project.channels ?? []).flatMap(secretsOfChannel))],
  });
  if (manner.output === 'json') print(JSON.stringify(rows));
  else for (const { name, value, source } of rows) print(`${name.padEnd(28)} ${value.padEnd(28)} ${source}`);
  return STATUS.done;
}
