import { describe, expect, test } from 'vitest';
import { missingTools, startSshd } from '../device/sshd.ts';
import { useBoard } from '../e2e/board.ts';
import { oneReleaseAnswers } from '../e2e/crash.ts';
import { Project } from '../e2e/project.ts';

const DEPLOY = ['deploy', '--to', 'board'];
const TIMES = 50;
/** On devices of their own, so many at a time. */
const SIDE_BY_SIDE = 2;
/** So often at least the two must have met. */
const MET = 40;

/** Two checkouts that deploy to one device at the same moment, again and again; says how often they met. */
async function meet(times: number): Promise<number> {
  const sshd = await startSshd();
  const projects = [new Project({ root: sshd.root }), new Project({ root: sshd.root })] as const;
  try {
    for (const project of projects) useBoard(project, sshd);
    let met = 0;
    for (let time = 1; time <= times; time++) {
      for (const project of projects) project.edit();
      const ended = await Promise.all(projects.map((project) => project.run(DEPLOY)));
      const said = `${String(time)}: ${ended.map(({ stdout, stderr }) => stdout + stderr).join('\n')}`;
      const winners = projects.filter((_, index) => ended[index]?.status === 0);
      const [winner] = winners;
      if (winner === undefined) throw new Error(`nobody won ${said}`);
      await oneReleaseAnswers(
        winner,
        winners.map((project) => project.packed()),
        said,
      );
      if (winners.length === 2) continue; // one after the other
      met++;
      const loser = ended.find(({ status }) => status !== 0);
      expect(loser?.status, said).toBe(3);
      const run = winner.runs().at(-1) ?? 'none';
      expect(loser?.stdout, said).toContain(`another run holds the lock deploy on board: run ${run} of tester@`);
    }
    return met;
  } finally {
    for (const project of projects) await project.stop();
    await sshd.stop();
  }
}

describe.skipIf(missingTools !== null)(
  `two clients${missingTools === null ? '' : ` (skipped: no ${missingTools})`}`,
  () => {
    test(`at once, ${String(TIMES)} times: one wins, the other is told who does, and its release is there`, async () => {
      const met = await Promise.all(Array.from({ length: SIDE_BY_SIDE }, () => meet(TIMES / SIDE_BY_SIDE)));
      const often = met.reduce((sum, one) => sum + one, 0);
      expect(often, 'they met').toBeGreaterThanOrEqual(MET);
    }, 400_000);
  },
);
