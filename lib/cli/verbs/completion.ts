import { STATUS } from '../../model/exit-status.ts';
import { SCRIPTS } from '../completion/scripts.ts';
import { completionWords } from '../completion/words.ts';
import type { Completion } from '../flags.ts';
import type { Project } from '../project.ts';

/** Prints the completion script of a shell, or what such a script asks for. */
export function completion(project: Project, shell: Completion): number {
  process.stdout.write(shell === 'words' ? completionWords(project) : SCRIPTS[shell]);
  return STATUS.done;
}
