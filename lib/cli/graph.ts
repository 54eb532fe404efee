import { STATUS } from '../model/exit-status.ts';
import type { AnyTask, Needs } from '../model/task.ts';
import { graphText, type GraphNode } from '../report/graph.ts';
import { planGoals, type Context } from './context.ts';
import { needsWithout } from './help.ts';
import type { Invocation } from './invocation.ts';

/** Prints which task needs which: those of the plan for the named tasks, or every task that is declared. */
export function printGraph(context: Context, { goals, format }: Extract<Invocation, { kind: 'graph' }>): number {
  const nodes = goals.length === 0 ? declared(context.project.tasks) : planned(context, goals);
  process.stdout.write(graphText[format](nodes));
  return STATUS.done;
}

function planned(context: Context, goals: Parameters<typeof planGoals>[1]): readonly GraphNode[] {
  const { plan } = planGoals(context, goals, []);
  const asked = new Set(plan.goals);
  const summaries = new Map(declaredTasks(context.project.tasks).map((task) => [task.taskName, task.spec.summary]));
  return plan.nodes.map(({ id, task, needs }) => ({
    id,
    task,
    summary: summaries.get(task) ?? '',
    needs: [...new Set(needs)],
    goal: asked.has(id),
  }));
}

/** Tasks by name alone, with the needs that each has when it is called without params. */
function declared(tasks: readonly AnyTask[]): readonly GraphNode[] {
  return declaredTasks(tasks).map((task) => ({
    id: task.taskName,
    task: task.taskName,
    summary: task.spec.summary,
    needs: [...new Set(tasksOf(needsWithout(task)).map(({ taskName }) => taskName))],
    goal: task.spec.hidden !== true && tasks.includes(task),
  }));
}

/** The listed tasks, and those that they need and nobody lists. */
function declaredTasks(tasks: readonly AnyTask[]): readonly AnyTask[] {
  const found = new Set(tasks);
  // A set is walked to its end, what is added on the way included.
  for (const task of found) for (const need of tasksOf(needsWithout(task))) found.add(need);
  return [...found];
}

const tasksOf = (needs: Needs): readonly AnyTask[] => Object.values(needs).map(({ task }) => task);
