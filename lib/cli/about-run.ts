import { clientOf } from '../device/client.ts';
import { checkedOutCommit } from '../host/commit.ts';
import { createMask } from '../host/mask.ts';
import { quoteWord } from '../report/quote.ts';
import type { Folders } from './project.ts';

/** Who began a run, from where, by typing what, at which commit, for which devices. */
export interface AboutRun {
  readonly commandLine: string;
  /** `user@host`, as the devices' journals name it. */
  readonly client: string;
  readonly commit: string | null;
  readonly targets: readonly string[];
}

/** Describes the run that this process begins; these secrets do not show. */
export function aboutRun(
  { projectDir }: Folders,
  targets: readonly string[],
  secrets: ReadonlyMap<string, string> = new Map(),
): AboutRun {
  const mask = createMask(secrets.values());
  return {
    // Masked before it is quoted: a quoted secret may look like another text.
    commandLine: process.argv
      .slice(2)
      .map((word) => quoteWord(mask.text(word)))
      .join(' '),
    client: clientOf(process.env),
    commit: checkedOutCommit(projectDir),
    targets,
  };
}
