import { deviceName, type Param } from '../model/param.ts';
import type { AnyTask, Needs } from '../model/task.ts';
import { FLAGS, VERBS, typedName, usageOf } from './flags.ts';

/** One listed task, as `--list --json` prints it. */
export interface ListedTask {
  readonly name: string;
  readonly summary: string;
  readonly params: readonly ListedParam[];
  readonly needs: readonly string[];
}

export interface ListedParam {
  readonly name: string;
  readonly type: Param['type'];
  readonly summary: string;
  readonly required: boolean;
  readonly default?: string | number | boolean;
  readonly choices?: readonly string[];
}

/** What `--list --json` prints: every task that is not hidden. */
export function listJson(tasks: readonly AnyTask[]): { readonly tasks: readonly ListedTask[] } {
  return {
    tasks: shown(tasks).map((task) => ({
      name: task.taskName,
      summary: task.spec.summary,
      params: paramsOf(task),
      needs: needsOf(task),
    })),
  };
}

/** What `--list`, or no task at all, prints. */
export function listText(tasks: readonly AnyTask[]): string {
  return `${table(shown(tasks).map(({ taskName, spec }) => [taskName, spec.summary])).join('\n')}\n`;
}

/** The help of the whole. */
export function helpText(tasks: readonly AnyTask[]): string {
  return [
    'usage: npm run task [TASK …] -- [--param VALUE …] [-- args for the task]',
    '       make TASK …',
    '',
    'tasks (--help TASK tells more of each):',
    ...table(shown(tasks).map(({ taskName, spec }) => [taskName, spec.summary])),
    '',
    'verbs:',
    ...table(VERBS.flatMap((verb) => [[usageOf(verb), verb.summary] as const])),
    '',
    'flags:',
    ...table(
      FLAGS.map(({ name, short, value, summary }) => [
        `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`,
        summary,
      ]),
    ),
    '',
    'npm keeps flags that do not stand behind --. Of most that is noticed, and the line to type is printed; but -n, -k,',
    '--yes and --no-color leave no trace: "npm run task deploy -n" DEPLOYS. Type "npm run task deploy -- -n", or "make -n deploy".',
    'make passes -n, -k and -jN on, and variables (make deploy DEPLOY_TO=jetson), but no params.',
    '',
    'TAB completes what "slipway" takes, with eval "$(slipway completion bash)" in ~/.bashrc (zsh: the same in ~/.zshrc;',
    'fish: slipway completion fish | source). A function is completed as the program is: slipway() { npx slipway "$@"; }',
    '',
    'status: 0 done · 1 a step failed · 2 usage · 3 refused · 4 something was not put back · 129 130 143 by signal;',
    'through make every failure is 2.',
    '',
  ].join('\n');
}

/** The help of one task. */
export function taskHelp(task: AnyTask): string {
  const params = paramsOf(task);
  const needs = needsOf(task);
  return [
    `${task.taskName}: ${oneLine(task.spec.summary)}`,
    '',
    `usage: npm run task ${task.taskName}${params.length === 0 ? '' : ` -- ${params.map(usage).join(' ')}`}`,
    ...(params.length === 0
      ? []
      : ['', 'params:', ...table(params.map((param) => [spelled(param), described(param)]))]),
    ...(needs.length === 0 ? [] : ['', `needs: ${needs.join(', ')}`]),
    ...(task.spec.env === undefined || task.spec.env.length === 0
      ? []
      : ['', `environment: ${task.spec.env.join(', ')}`]),
    '',
  ].join('\n');
}

const shown = (tasks: readonly AnyTask[]): readonly AnyTask[] => tasks.filter(({ spec }) => spec.hidden !== true);

function paramsOf({ spec }: AnyTask): ListedParam[] {
  return Object.entries(spec.params ?? {}).map(([name, param]) => {
    const fallback = 'default' in param ? param.default : undefined;
    return {
      name: typedName(name),
      type: param.type,
      summary: param.summary,
      required: fallback === undefined && param.type !== 'device',
      ...(fallback === undefined || isSecret(param) ? {} : { default: fallback }),
      ...(param.type === 'choice' ? { choices: param.choices } : {}),
    };
  });
}

const isSecret = (param: Param): boolean => param.type === 'string' && param.secret === true;

/** The names of the tasks that it needs when it is called without params: needs may depend on them. */
export const needsOf = (task: AnyTask): string[] => [
  ...new Set(Object.values(needsWithout(task)).map((need) => need.task.taskName)),
];

/** The needs of a task that is called without params. */
export function needsWithout({ spec }: AnyTask): Needs {
  const defaults = Object.entries(spec.params ?? {}).map(([name, param]) => [name, standIn(param)]);
  const { needs } = spec;
  if (typeof needs !== 'function') return needs ?? {};
  return (needs as (context: object) => Needs)({ params: Object.fromEntries(defaults) as object });
}

function standIn(param: Param): string | number | boolean {
  if (param.type === 'device') return deviceName('rehearsal');
  if (param.default !== undefined) return param.default;
  return param.type === 'number' ? 0 : param.type === 'choice' ? (param.choices[0] ?? '') : '';
}

function usage(param: ListedParam): string {
  return param.required ? spelled(param) : `[${spelled(param)}]`;
}

function spelled({ name, type, choices }: ListedParam): string {
  const value = { string: 'TEXT', number: 'NUMBER', device: 'DEVICE', choice: (choices ?? []).join('|'), flag: '' }[
    type
  ];
  return value === '' ? `--${name}` : `--${name} ${value}`;
}

function described({ type, summary, required, default: fallback }: ListedParam): string {
  if (required) return `${summary} (required)`;
  if (type === 'device') return `${summary} (default: DEPLOY_TO, or the rehearsal device while no other is configured)`;
  return type === 'flag' || fallback === undefined || fallback === ''
    ? summary
    : `${summary} (default: ${String(fallback)})`;
}

/** Rows of two columns, the second aligned. */
function table(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${oneLine(right)}`);
}

/** Whatever a summary holds, it takes one line and steers no terminal. */
const oneLine = (text: string): string => text.replace(/[\x00-\x1f\x7f-\x9f]+/g, ' ');
