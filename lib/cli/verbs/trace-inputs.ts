import { inBase, isTelling } from '../../host/environment.ts';
import { namedVariables } from '../../host/named-variables.ts';
import { whyNoTrace } from '../../host/strace.ts';
import { declaredFiles, undeclared, type Undeclared } from '../../host/undeclared.ts';
import { STATUS } from '../../model/exit-status.ts';
import { StepFailed, UsageError } from '../../model/failure.ts';
import type { Plan, PlanNode } from '../../model/plan.ts';
import { HERE, itemsIn } from '../../model/step.ts';
import { plainReporter } from '../../report/plain.ts';
import type { Said } from '../consent.ts';
import { planGoals, variableOf, type Context } from '../context.ts';
import { unknownTask } from '../mistakes.ts';
import { perform } from '../perform.ts';
import { print, say, type Manner } from '../reporting.ts';
import { openTracer } from '../tracer.ts';

/** What was found, in the order in which a task declares it. */
type Found = Undeclared & { readonly env: readonly string[] };

/** Runs a task under a tracer, and lists what it read, wrote and asks for without declaring it. */
export async function traceInputs(
  context: Context,
  manner: Manner,
  { task, check, ...said }: { readonly task: string; readonly check: boolean } & Said,
): Promise<number> {
  if (!context.project.tasks.some(({ taskName }) => taskName === task)) throw unknownTask(task, context.project.tasks);
  const prepared = planGoals(context, [{ task, params: {} }], []);
  const node = goalOf(prepared.plan);
  refuseUntraceable(node);
  const why = whyNoTrace();
  if (why !== null) throw new StepFailed({ reason: 'refused', message: why });
  const { projectDir } = context;
  const tracer = openTracer(context, node);
  const needed = neededOutputs(prepared.plan, node);
  const declared = { inputs: node.inputs ?? [], outputs: node.outputs ?? [], needed };
  const before = {
    inputs: declaredFiles(projectDir, declared.inputs),
    outputs: declaredFiles(projectDir, declared.outputs),
  };
  try {
    const told: string[] = [];
    const status = await perform(
      context,
      { ...prepared, plan: alwaysRun(prepared.plan, node) },
      {
        manner,
        said,
        jobs: null,
        keepGoing: false,
        force: false,
        through: tracer.through,
        reporter: (around) =>
          plainReporter((text) => void told.push(text), { color: manner.color, plan: prepared.plan, around }),
      },
    );
    if (status !== STATUS.done) {
      process.stderr.write(told.join(''));
      say(`${node.id} did not come to its end, so what it reads and writes is not known`);
      return status;
    }
    const done = await tracer.accessed();
    const found = { ...undeclared(projectDir, done, declared, before), env: variables(context, node, done.reads) };
    return tell(node, found, manner, check);
  } finally {
    tracer.close();
  }
}

function goalOf({ nodes, goals }: Plan): PlanNode {
  const node = nodes.find(({ id }) => id === goals[0]);
  if (node === undefined) throw new Error('a plan has its goal');
  return node;
}

/** Only what runs `here` and changes nothing can be traced. */
function refuseUntraceable({ id, body, needs }: PlanNode): void {
  const items = [...itemsIn(body)];
  const refuse = (message: string): never => {
    throw new StepFailed({ reason: 'refused', message: `${id} cannot be traced: ${message}` });
  };
  if (items.length === 0)
    throw new UsageError(`${id} has no steps of its own`, `trace what it needs: ${needs.join(', ')}`);
  for (const item of items) {
    if (item.type === 'change' || item.type === 'hold')
      refuse(`it holds a ${item.type}, and only tasks that derive files do not run where that is declared`);
    if (item.type !== 'step') continue;
    if (item.place !== HERE) refuse(`${item.id} runs on ${item.place}, and only what runs here is seen`);
    if (item.effect !== 'reads' && item.effect !== 'derives')
      refuse(`${item.id} ${item.effect}, and only tasks that read and derive are skipped when nothing changed`);
    if (item.kind === 'opaque') refuse(`${item.id} is a function, which runs inside of Slipway itself`);
  }
}

/** The node without inputs is run whatever its freshness says, and its stored state stays as it is. */
const alwaysRun = (plan: Plan, node: PlanNode): Plan => ({
  version: plan.version,
  goals: plan.goals,
  nodes: plan.nodes.map((one) => (one === node ? { ...one, inputs: null } : one)),
  digest: plan.digest,
});

/** Outputs of everything that it needs, however far: their keys are part of its own. */
function neededOutputs({ nodes }: Plan, node: PlanNode): readonly (readonly string[])[] {
  const needed = new Set(node.needs);
  // Needs come first, so from the end on each is known by then.
  return [...nodes].reverse().flatMap(({ id, needs, outputs }) => {
    if (!needed.has(id)) return [];
    for (const need of needs) needed.add(need);
    return outputs === null ? [] : [outputs];
  });
}

/**
 * No tracer sees a program look at its environment. What can be seen: variables that the project's sources among what
 * was read ask for by name, that are set here, and that the task either does not get or gets outside of its key.
 */
function variables(context: Context, node: PlanNode, reads: ReadonlySet<string>): readonly string[] {
  const own = [...itemsIn(node.body)].flatMap((item) =>
    item.type === 'step' && (item.kind === 'run' || item.kind === 'shell') ? Object.keys(item.args.env ?? {}) : [],
  );
  const lookup = variableOf(context);
  return [...namedVariables(context.projectDir, reads)]
    .filter((name) => !node.env.includes(name) && !own.includes(name))
    .filter((name) => (inBase(name) ? isTelling(name) && process.env[name] !== undefined : lookup(name) !== undefined))
    .sort();
}

function tell({ id, inputs, outputs }: PlanNode, all: Found, manner: Manner, check: boolean): number {
  // Without declared inputs it always runs: nothing that it reads can be missed.
  const found = check && inputs === null ? { ...all, inputs: [], env: [] } : all;
  const kinds = (['inputs', 'outputs', 'env'] as const).filter((kind) => found[kind].length > 0);
  if (manner.output === 'json' && !(check && kinds.length === 0)) print(JSON.stringify({ task: id, ...found }));
  if (kinds.length === 0) {
    if (!check) say(`${id} declares all that it reads and writes`);
    return STATUS.done;
  }
  if (manner.output === 'human') {
    print(`// ${id} does not declare:`);
    for (const kind of kinds) {
      print(`${kind}: [`);
      for (const one of found[kind]) print(`  '${one.replace(/['\\]/g, '\\$&')}',`);
      print('],');
    }
  }
  if (inputs === null || outputs === null)
    say(`${id} declares no ${inputs === null ? 'inputs' : 'outputs'}: it always runs`);
  return check ? STATUS.failed : STATUS.done;
}
