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
  return {
    commandLine: createMask(secrets.values()).text(process.argv.slice(2).map(quoteWord).join(' ')),
    client: clientOf(process.env),
    commit: checkedOutCommit(projectDir),
    targets,
  };
}
