import type { Param } from '../../model/param.ts';
import type { AnyTask } from '../../model/task.ts';
import { FLAGS, VERBS, typedName, type Flag } from '../flags.ts';
import type { Project } from '../project.ts';

/**
 * What can be typed, for the scripts of the shells: lines of tab-separated fields, the last one `end`.
 * `task NAME SUMMARY` · `verb NAME SUMMARY` · `args VERB VALUES` · `flag OWNER FLAG VALUES SUMMARY`, where OWNER is a
 * task, a verb, or `*`; and VALUES are words, `-` (takes none), `?` (anything), `@file`, `@run`; `[` before them: it
 * may stand alone.
 */
export function completionWords({ tasks, devices = [], system }: Project): string {
  const known: Known = {
    devices: ['rehearsal', ...devices].join(' '),
    services: system?.services.map(({ name }) => name).join(' ') ?? '',
  };
  const shown = tasks.filter(({ spec }) => spec.hidden !== true);
  return [
    ...shown.map(({ taskName, spec }) => ['task', taskName, spec.summary]),
    ...tasks.flatMap((task) => paramsOf(task, known)),
    ...VERBS.flatMap(({ name, summary, args, flags, own = [] }) => [
      ['verb', name, summary],
      ...args.map((arg) => ['args', name, argument(arg, known)]),
      ...own.flatMap((flag) => flagLines(name, flag, known)),
      ...FLAGS.filter((flag) => flags.includes(flag.name)).flatMap((flag) => flagLines(name, flag, known)),
    ]),
    ...FLAGS.filter(({ name }) => name !== 'with-data').flatMap((flag) => flagLines('*', flag, known)),
    ['end'],
  ]
    .map((fields) => `${fields.map(field).join('\t')}\n`)
    .join('');
}

interface Known {
  readonly devices: string;
  readonly services: string;
}

const field = (text: string): string => text.replace(/[\x00-\x1f\x7f]+/g, ' ');

function paramsOf({ taskName, spec }: AnyTask, known: Known): string[][] {
  return Object.entries(spec.params ?? {}).map(([name, param]) => [
    'flag',
    taskName,
    `--${typedName(name)}`,
    valuesOf(param, known),
    param.summary,
  ]);
}

/** Choices of which one is no plain word are not offered: it would have to be quoted for each shell, and the rest is not all. */
function valuesOf(param: Param, { devices }: Known): string {
  if (param.type === 'flag') return '-';
  if (param.type === 'device') return devices;
  if (param.type !== 'choice') return '?';
  const isPlain = (choice: string): boolean => /^[\w.:@%+,/-]+$/.test(choice) && !/^[@?[-]/.test(choice);
  return param.choices.every(isPlain) ? param.choices.join(' ') : '?';
}

function flagLines(owner: string, { name, short, value, choices, summary }: Flag, known: Known): string[][] {
  const values = choices ? `[${choices.join(' ')}` : value === undefined ? '-' : argument(name, known);
  const names = [`--${name}`, ...(short === undefined ? [] : [`-${short}`])];
  return names.map((one) => ['flag', owner, one, values, summary]);
}

/** By the name of the flag, or of a verb's argument. */
function argument(name: string, { devices, services }: Known): string {
  const values: { readonly [name: string]: string } = {
    ...Object.fromEntries(['out', 'report', 'profile', 'file'].map((file) => [file, '@file'])),
    run: '@run',
    device: devices,
    service: services || '?',
    action: 'stop',
    shell: 'bash zsh fish',
    output: 'prefixed grouped',
  };
  return values[name] ?? '?';
}
