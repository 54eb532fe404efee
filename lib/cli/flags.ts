/** A flag of Slipway's own. `value` names what follows it; a flag without one is there or not. */
export interface Flag {
  readonly name: string;
  readonly short?: string;
  readonly value?: string;
  /** The values that it takes; alone it means the first of them. */
  readonly choices?: readonly string[];
  readonly summary: string;
}

/** What `--graph` prints. */
export const GRAPH_FORMATS = ['mermaid', 'dot', 'json'] as const;
export type GraphFormat = (typeof GRAPH_FORMATS)[number];

/** The shells that `completion` knows, and `words`: what its scripts ask for. */
export const COMPLETIONS = ['bash', 'zsh', 'fish', 'words'] as const;
export type Completion = (typeof COMPLETIONS)[number];

/** Every flag, in the order in which help shows them. None that Node would take for itself from behind a script (`--env-file`). */
export const FLAGS: readonly Flag[] = [
  { name: 'dry-run', short: 'n', summary: 'plan and show every step, perform none' },
  { name: 'connected', summary: 'plan, and ask the device read-only questions' },
  { name: 'out', value: 'FILE', summary: 'plan, and keep the approval for "apply FILE"' },
  { name: 'runbook', summary: 'plan, and print it as a runbook in Markdown' },
  {
    name: 'graph',
    value: '[mermaid|dot|json]',
    choices: GRAPH_FORMATS,
    summary: 'print which task needs which; of all tasks, if none is named',
  },
  { name: 'report', value: 'FILE', summary: 'after the run write a page about it (HTML)' },
  { name: 'profile', value: 'FILE', summary: 'after the run write its times as a Chrome trace (JSON)' },
  { name: 'jobs', short: 'j', value: 'N', summary: 'at most N tasks at the same time' },
  { name: 'keep-going', short: 'k', summary: 'after a failure go on with what does not need it' },
  { name: 'shuffle', value: 'SEED', summary: 'a random order of what may run in any; SEED: a number, or "random"' },
  { name: 'force', summary: 'run tasks that are fresh, too' },
  { name: 'explain', summary: 'say of every task why it runs, is skipped, or is restored' },
  { name: 'watch', summary: 'run again with every change of a declared input, until Ctrl-C' },
  { name: 'yes', summary: 'answer yes where a yes is asked for' },
  { name: 'confirm', value: 'NAME', summary: 'confirm what cannot be undone, by its name' },
  { name: 'with-data', summary: 'uninstall: the data and its copies, too' },
  { name: 'list', summary: 'list the tasks' },
  { name: 'json', summary: 'print JSON, for programs' },
  { name: 'output', value: 'HOW', summary: 'lines instead of a live view: "prefixed" by their task, or "grouped"' },
  { name: 'no-color', summary: 'no colours' },
  { name: 'help', short: 'h', summary: 'this text, or the help of a task' },
  { name: 'version', summary: "Slipway's version" },
];

export const flagNamed = (name: string): Flag | undefined => FLAGS.find((flag) => flag.name === name);

/** A verb as help shows it; `args` are the names of what it must be given. */
export interface VerbUsage {
  readonly name: string;
  readonly args: readonly string[];
  readonly summary: string;
  /** Flags that mean something for it, beyond `--no-color` and `--help`. */
  readonly flags: readonly string[];
  /** Flags of its own; a letter means here what it means for this verb. */
  readonly own?: readonly Flag[];
  /** What must follow `--`; without it nothing may. */
  readonly rest?: string;
}

const DEVICE: Flag = { name: 'device', value: 'NAME', summary: 'the device; DEPLOY_TO unless given' };
const ONE_DEVICE: Flag = { ...DEVICE, summary: 'this device alone' };
const SERVICE: Flag = { name: 'service', value: 'NAME', summary: 'with the environment of this service alone' };

const RUNS = ['json', 'output', 'yes', 'confirm', 'jobs', 'keep-going'];
const PAGES = ['report', 'profile'];

export const VERBS: readonly VerbUsage[] = [
  {
    name: 'apply',
    args: ['file'],
    summary: 'run what a kept plan approved, if it would still be the same',
    flags: [...RUNS, ...PAGES],
  },
  { name: 'recover', args: [], summary: 'finish or undo a run whose runner died', flags: RUNS },
  {
    name: 'trace-inputs',
    args: ['task'],
    summary: 'run a task under strace: what it reads and writes and does not declare',
    flags: ['json', 'yes', 'confirm'],
    own: [{ name: 'check', summary: 'print nothing where all is declared; otherwise end with 1' }],
  },
  {
    name: 'undo',
    args: ['run'],
    summary: "put a finished run's changes back; -n shows them",
    flags: ['json', 'yes', 'confirm', 'dry-run', 'connected'],
  },
  { name: 'history', args: [], summary: 'past runs, newest first', flags: ['json'] },
  {
    name: 'show',
    args: ['run'],
    summary: 'what one run did, step by step; --logs: what it printed',
    flags: ['json', ...PAGES],
    own: [{ name: 'logs', summary: 'what each step printed, whole' }],
  },
  {
    name: 'status',
    args: [],
    summary: 'devices: releases, services, memory, disk, who is at work',
    flags: ['json'],
    own: [ONE_DEVICE],
  },
  {
    name: 'doctor',
    args: [],
    summary: 'what would refuse a deploy, and what to do; status 3 if something would',
    flags: ['json'],
    own: [ONE_DEVICE],
  },
  {
    name: 'logs',
    args: ['service'],
    summary: "a service's log; -f goes on until Ctrl-C",
    flags: [],
    own: [
      { name: 'follow', short: 'f', summary: 'go on with what comes' },
      { name: 'lines', short: 'n', value: 'LINES', summary: 'begin so many lines before the end; 100 unless given' },
      DEVICE,
    ],
  },
  {
    name: 'exec',
    args: [],
    summary: 'run a command in the current release; its status is passed on',
    flags: [],
    own: [SERVICE, DEVICE],
    rest: 'CMD ARGS …',
  },
  {
    name: 'shell',
    args: [],
    summary: 'a shell in the current release',
    flags: [],
    own: [SERVICE, DEVICE],
  },
  {
    name: 'audit',
    args: [],
    summary: 'who did what, from the journals here and on the devices',
    flags: ['json'],
    own: [ONE_DEVICE],
  },
  { name: 'config', args: [], summary: 'every setting with its source; secrets masked', flags: ['json'] },
  {
    name: 'uninstall',
    args: ['device'],
    summary: 'take everything off a device that Slipway made there',
    flags: ['yes', 'confirm', 'with-data'],
  },
  {
    name: 'rehearsal',
    args: ['action'],
    summary: '"rehearsal stop" ends what the rehearsal device runs',
    flags: ['json', 'yes'],
  },
  {
    name: 'completion',
    args: ['shell'],
    summary: 'a script for bash, zsh or fish that completes what can be typed',
    flags: [],
  },
];

/** How a verb is typed: `logs SERVICE [-f] [-n LINES] [--device NAME]`. */
export function usageOf({ name, args, own = [], rest }: VerbUsage): string {
  const flags = own.map(({ name: long, short, value }) => {
    const flag = short === undefined ? `--${long}` : `-${short}`;
    return `[${value === undefined ? flag : `${flag} ${value}`}]`;
  });
  return [name, ...args.map((arg) => arg.toUpperCase()), ...flags, ...(rest === undefined ? [] : ['--', rest])].join(
    ' ',
  );
}

/** A param's name as it is typed: `maxAge` is `--max-age`. */
export const typedName = (param: string): string => param.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
