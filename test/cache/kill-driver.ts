/**
 * Finishes what an earlier process left in the checkout of graph `seed - 1`, proves it, then runs graph `seed` again
 * and again, with edits in between, until it kills itself at a random change of the file system.
 * Run: `node kill-driver.mjs FOLDER SEED`; prints what it proved.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { openFreshness } from '../../lib/cli/freshness-store.ts';
import { beginRun, openJournal, readRuns } from '../../lib/cli/runs.ts';
import { CancelSource } from '../../lib/engine/cancel.ts';
import { makePlan } from '../../lib/engine/graph.ts';
import { runPlan } from '../../lib/engine/run.ts';
import { clock } from '../../lib/host/clock.ts';
import { sha256 } from '../../lib/host/hash.ts';
import { reapLeftovers } from '../../lib/host/ledger.ts';
import { createHostPerformer } from '../../lib/host/performer.ts';
import { openTurns } from '../../lib/host/turns.ts';
import { task, type Need, type Needs } from '../../lib/model/task.ts';

/** Calls that change the file system. */
const CHANGES = [
  'writeSync',
  'renameSync',
  'rmSync',
  'openSync',
  'utimesSync',
  'symlinkSync',
  'mkdirSync',
  'rmdirSync',
] as const;
/** Changes after which a process that was to die has died, at most. */
const MAX_CHANGES = 300;

interface Graph {
  readonly dir: string;
  readonly needs: readonly (readonly number[])[];
}

function randomOf(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761 + 1;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function graphOf(folder: string, seed: number): Graph {
  const random = randomOf(seed);
  const count = 2 + random(4);
  const needs = Array.from({ length: count }, (_, at) =>
    Array.from({ length: at }, (_, need) => need).filter(() => random(2) === 0),
  );
  return { dir: join(folder, String(seed)), needs };
}

const source = ({ dir }: Graph, at: number): string => join(dir, 'src', String(at));

/** What each task should have made: its source, and what its needs made. */
function wanted(graph: Graph): readonly string[] {
  const made: string[] = [];
  graph.needs.forEach((needs, at) => {
    made.push(fs.readFileSync(source(graph, at), 'utf8') + needs.map((need) => made[need] ?? '').join(''));
  });
  return made;
}

async function perform(graph: Graph, run: string): Promise<readonly string[]> {
  const slipwayDir = join(graph.dir, '.slipway');
  const goals: Need[] = [];
  graph.needs.forEach((needs, at) => {
    const own: Needs = Object.fromEntries(needs.map((need) => [`n${String(need)}`, goals[need] as Need]));
    const from = needs.map((need) => `out/${String(need)}/x`);
    const name = String(at);
    const line = `mkdir -p out/${name} && cat src/${name} ${from.join(' ')} > out/${name}/x && ln -sfn x out/${name}/l`;
    goals.push(
      task(`t-${name}`, {
        summary: name,
        needs: own,
        inputs: [`src/${name}`, ...from],
        outputs: [`out/${name}/**`],
        steps: (p) => void p.shell(line, { effect: 'derives' }),
      })(),
    );
  });
  const { plan } = makePlan(goals, sha256);
  await reapLeftovers(slipwayDir, 100);
  beginRun(slipwayDir, run, plan, {} as never);
  const journal = openJournal(slipwayDir, run);
  const { freshness, save } = openFreshness(
    { projectDir: graph.dir, slipwayDir },
    () => undefined,
    (line) => assert.fail(line),
    'keeps',
  );
  const host = createHostPerformer({
    projectDir: graph.dir,
    slipwayDir,
    run,
    secrets: new Map(),
    lookupEnv: () => undefined,
    opaque: new Map(),
  });
  const outcomes: string[] = [];
  const status = await runPlan(plan, {
    run,
    performer: host,
    clock,
    cancel: new CancelSource(),
    capacity: { jobs: 2, memoryMb: 1000, cpu: 2 },
    keepGoing: false,
    freshness,
    turns: openTurns(slipwayDir, run),
    force: false,
    emit(event) {
      journal.write(event);
      if (event.type === 'task-finished') outcomes.push(event.outcome);
    },
    line: (step) => step.id,
  });
  save();
  await host.close();
  journal.close();
  assert.equal(status, 0);
  return outcomes;
}

function proveOutputs(graph: Graph): void {
  wanted(graph).forEach((content, at) => {
    const folder = join(graph.dir, 'out', String(at));
    assert.deepEqual(fs.readdirSync(folder).sort(), ['l', 'x'], folder);
    assert.equal(fs.readFileSync(join(folder, 'x'), 'utf8'), content);
    assert.equal(fs.readlinkSync(join(folder, 'l')), 'x');
  });
}

/** Every content is what its name says, every entry whole, every journal readable but for a last line cut short. */
function proveStore(graph: Graph): void {
  const slipwayDir = join(graph.dir, '.slipway');
  const files = fs.existsSync(join(slipwayDir, 'cache'))
    ? fs.readdirSync(join(slipwayDir, 'cache'), { recursive: true, encoding: 'utf8' })
    : [];
  for (const name of files) {
    const blob = /^blobs\/(..)\/([0-9a-f]{62})$/.exec(name);
    const text = (): string => fs.readFileSync(join(slipwayDir, 'cache', name), 'utf8');
    if (blob) assert.equal(createHash('sha256').update(text()).digest('hex'), `${blob[1] ?? ''}${blob[2] ?? ''}`);
    if (!/^entries\/.*\.json$/.test(name)) continue;
    const [digest, body = ''] = text().split('\n');
    assert.equal(sha256(body), digest);
  }
  for (const { damaged, record } of readRuns(slipwayDir)) assert.equal(damaged, 0, record.run);
}

/** From here on the process dies at its nth change of the file system. */
function dieAt(nth: number): void {
  let count = 0;
  for (const name of CHANGES) {
    const real = fs[name] as (...args: unknown[]) => unknown;
    (fs as unknown as Record<string, unknown>)[name] = (...args: unknown[]) => {
      if (++count === nth) process.kill(process.pid, 'SIGKILL');
      return real(...args);
    };
  }
  syncBuiltinESMExports();
}

const [folder = '', text = ''] = process.argv.slice(2);
const seed = Number(text);
const before = graphOf(folder, seed - 1);
if (fs.existsSync(before.dir)) {
  proveStore(before);
  const first = await perform(before, `finish-${text}`);
  proveOutputs(before);
  const second = await perform(before, `fresh-${text}`);
  assert.deepEqual([...new Set(second)], ['fresh'], first.join());
  proveStore(before);
  fs.rmSync(before.dir, { recursive: true });
  process.stdout.write(`proved ${first.join(' ')}\n`);
}
const graph = graphOf(folder, seed);
const random = randomOf(seed + 1_000_003);
fs.mkdirSync(join(graph.dir, 'src'), { recursive: true });
graph.needs.forEach((_, at) => fs.writeFileSync(source(graph, at), `${String(at)} 0\n`));
dieAt(1 + random(MAX_CHANGES));
for (let round = 0; ; round++) {
  await perform(graph, `r-${String(round)}`);
  proveOutputs(graph);
  // Among few contents, so that what is kept comes back.
  const at = random(graph.needs.length);
  fs.writeFileSync(source(graph, at), `${String(at)} ${String(random(2))}\n`);
}
