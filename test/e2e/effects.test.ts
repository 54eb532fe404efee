import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createPlaces } from '../../lib/cli/places.ts';
import { planGoals } from '../../lib/cli/context.ts';
import { readSources } from '../../lib/config/lookup.ts';
import { ALWAYS_RUN } from '../../lib/engine/freshness.ts';
import { CancelSource } from '../../lib/engine/cancel.ts';
import { runPlan } from '../../lib/engine/run.ts';
import { clock } from '../../lib/host/clock.ts';
import type { RunEvent } from '../../lib/model/event.ts';
import type { LivePerformer } from '../../lib/model/ports.ts';
import type { Step } from '../../lib/model/step.ts';
import { stepLine } from '../../lib/report/line.ts';
import { Project, QUICK, inProject } from './project.ts';
import { helloProject } from './hello-tasks.ts';

/**
 * What is no part of the state that a step is about: the journal of calls, the order of runs, records and saves that undo itself
 * needs, logs, bytecode, contents kept for the next upload, the agent's own code, files of the lock and of running commands.
 */
const BESIDE =
  /^\.slipway\/(runs|state|stat\.json|locks|tmp|rehearsal\/\.keys-)|^\.slipway\/rehearsal\/rehearsal\/(state\/(agent\.code|journal|runs|saved|releases|commands|lock-|damaged|switch|keeper)|logs|cache|blobs|home)/;

/** Everything else: files with their contents and modes, links with their targets, and which service runs from which release. */
type Snapshot = ReadonlyMap<string, string>;

function snapshot(project: Project): Snapshot {
  const found = new Map<string, string>();
  for (const name of readdirSync(project.dir, { recursive: true, encoding: 'utf8' })) {
    if (BESIDE.test(name)) continue;
    const path = join(project.dir, name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isSymbolicLink()) found.set(name, `-> ${readlinkSync(path)}`);
    // A service has another pid after each start: that it runs, and from where, is told by its process.
    else if (stat?.isFile() && !/\/run\/\w+\.json$/.test(name))
      found.set(name, `${stat.mode.toString(8)} ${createHash('sha256').update(readFileSync(path)).digest('hex')}`);
  }
  for (const release of project.serving()) found.set('web runs from', release);
  return found;
}

function differences(before: Snapshot, after: Snapshot): string[] {
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((name) => before.get(name) !== after.get(name))
    .sort();
}

interface Seen {
  readonly step: Step;
  readonly changed: readonly string[];
}

/** Deploys in this process, with a look at everything before and after each step; from `failing` on it fails. */
async function deploy(
  project: Project,
  run: string,
  failing: string | null,
): Promise<{ readonly status: number; readonly seen: readonly Seen[]; readonly events: readonly RunEvent[] }> {
  const folders = { projectDir: project.dir, slipwayDir: project.path('.slipway') };
  const context = {
    ...folders,
    project: helloProject({ ...QUICK }),
    sources: await readSources({ projectDir: project.dir, environment: project.env(), flags: {} }),
  };
  const { plan, opaque, paramSecrets } = planGoals(context, [{ task: 'deploy', params: {} }], []);
  const places = createPlaces({ ...context, run, opaque, paramSecrets, consent: new Set() });
  const seen: Seen[] = [];
  const events: RunEvent[] = [];
  const performer: LivePerformer = {
    ...places,
    async perform(step, performing) {
      const before = snapshot(project);
      const performed = await places.perform(step, performing);
      if (!performing.undoing) seen.push({ step, changed: differences(before, snapshot(project)) });
      return step.id === failing && !performing.undoing
        ? { ok: false, failure: { reason: 'refused', message: 'the test says so' } }
        : performed;
    },
  };
  const capacity = { jobs: 1, memoryMb: 1024, cpu: 1 };
  try {
    const status = await runPlan(plan, {
      run,
      performer,
      clock,
      cancel: new CancelSource(),
      capacity,
      keepGoing: false,
      freshness: ALWAYS_RUN,
      force: true,
      emit: (event) => events.push(event),
      line: stepLine,
    });
    return { status, seen, events };
  } finally {
    await places.close();
  }
}

test(
  'each step does what its effect says, and every change is put back as it was',
  () =>
    inProject({}, async (project) => {
      const device = '.slipway/rehearsal/rehearsal/';
      for (const round of ['the first release', 'the second']) {
        project.edit();
        const { status, seen } = await deploy(project, `e2e-${String(round.length)}`, null);
        expect(status, round).toBe(0);
        for (const { step, changed } of seen) {
          const when = `${round}: ${step.id} ${stepLine(step)}`;
          if (step.effect === 'reads') expect(changed, when).toEqual([]);
          else if (step.effect === 'derives')
            expect(
              changed.filter((name) => !name.startsWith('.slipway/build/')),
              when,
            ).toEqual([]);
          else
            expect(
              changed.filter((name) => !name.startsWith(device) && name !== 'web runs from'),
              when,
            ).toEqual([]);
        }
        expect(
          seen.filter(({ step, changed }) => step.effect === 'changes' && changed.length > 0).length,
          round,
        ).toBeGreaterThan(2);
      }
      await project.run(['status']);
      const [changing, confirming] = partition((await lateSteps(project)).map(({ step }) => step));
      expect(changing.length).toBeGreaterThan(8);
      const build = (name: string): boolean => name.startsWith('.slipway/build/');
      for (const [index, { id }] of changing.entries()) {
        project.edit();
        const before = snapshot(project);
        const { status } = await deploy(project, `e2e-fail-${String(index)}`, id);
        expect(status, id).toBe(3);
        expect(
          differences(before, snapshot(project)).filter((name) => !build(name)),
          `failed at ${id}`,
        ).toEqual([]);
        expect(await project.answering(), id).toBe(project.current());
        expect(
          existsSync(join(project.root, 'incoming')) ? readdirSync(join(project.root, 'incoming')) : [],
          id,
        ).toEqual([]);
      }
      // What the device confirmed stands, though its answer was not heard.
      expect(confirming).toHaveLength(1);
      project.edit();
      expect(await deploy(project, 'e2e-unheard', confirming[0]?.id ?? '')).toMatchObject({ status: 0 });
      expect([project.current(), await project.answering()]).toEqual([project.packed(), project.packed()]);
    }),
  120_000,
);

/** The steps that are put back when they fail, and the one that decides. */
function partition(steps: readonly Step[]): readonly [readonly Step[], readonly Step[]] {
  const decides = (step: Step): boolean => step.kind === 'call' && step.args.operation === 'release.confirm';
  return [steps.filter((step) => !decides(step)), steps.filter(decides)];
}

/** The steps of a deploy of a changed release up to its confirmation: after each of them all is put back. */
async function lateSteps(project: Project): Promise<readonly Seen[]> {
  project.edit();
  const { seen, events } = await deploy(project, 'e2e-steps', null);
  const settled = events.findIndex(({ type }) => type === 'settled');
  const before = new Set(
    events.slice(0, settled).flatMap((event) => (event.type === 'step-started' ? [event.id] : [])),
  );
  const unique = new Map(
    seen.filter(({ step }) => before.has(step.id) && step.place !== 'here').map((one) => [one.step.id, one]),
  );
  return [...unique.values()];
}
