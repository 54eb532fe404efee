import { UsageError } from '../model/failure.ts';
import type { PlanNode } from '../model/plan.ts';

interface Claim {
  readonly node: PlanNode;
  readonly output: string;
}

/**
 * Refuses outputs that stand for everything, and two nodes of which one's outputs lie at or below the other's. A glob
 * counts as the folder before its first wildcard, so that what might overlap is refused, too.
 */
export function refuseOverlaps(nodes: readonly PlanNode[]): void {
  const owners = new Map<string, Claim>();
  const claims = nodes.flatMap((node) =>
    (node.outputs ?? [])
      .filter((output) => !output.startsWith('!'))
      .map((output) => ({ node, output, parts: fixedPart(output) })),
  );
  for (const claim of claims.sort((a, b) => a.parts.length - b.parts.length)) {
    for (let depth = 0; depth <= claim.parts.length; depth++) {
      const owner = owners.get(claim.parts.slice(0, depth).join('/'));
      if (owner && owner.node !== claim.node) throw overlap(owner, claim);
    }
    owners.set(claim.parts.join('/'), claim);
  }
  const all = claims.find(({ output }) => isEverything(output));
  if (all)
    throw new UsageError(
      `the outputs of ${all.node.id} (${all.output}) are the whole project: to put them back would remove all that is not theirs`,
      'name the folders that it makes',
    );
}

const isEverything = (glob: string): boolean =>
  glob
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .every((part) => /^\*+$/.test(part));

/** The folders before the first wildcard. */
export function fixedPart(glob: string): readonly string[] {
  const parts = glob.split('/').filter((part) => part !== '' && part !== '.');
  const wild = parts.findIndex((part) => /[*?{[(]/.test(part));
  return wild === -1 ? parts : parts.slice(0, wild);
}

function overlap(a: Claim, b: Claim): UsageError {
  return new UsageError(
    `the outputs of ${a.node.id} (${a.output}) and of ${b.node.id} (${b.output}) overlap`,
    'give each task output folders of its own',
  );
}
