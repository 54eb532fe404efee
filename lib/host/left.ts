import * as fs from 'node:fs';
import { textOf } from '../model/json.ts';
import type { Step } from '../model/step.ts';
import { insideProject } from './inside.ts';

/**
 * Whether a path is still as this step left it, so that putting back what was there before loses nothing of somebody's:
 * nor does it where nothing is left. What other kinds of step left nobody can see.
 */
export function isAsLeft(step: Step, projectDir: string): boolean {
  if (step.kind !== 'write' && step.kind !== 'link' && step.kind !== 'remove') return true;
  const path = insideProject(projectDir, textOf(step.args.path));
  const stat = fs.lstatSync(path, { throwIfNoEntry: false });
  switch (step.kind) {
    case 'remove':
      return stat === undefined;
    case 'link':
      return stat === undefined || (stat.isSymbolicLink() && fs.readlinkSync(path) === step.args.target);
    case 'write':
      // What holds a secret cannot be compared: plans and journals do not know it.
      if (stat === undefined || typeof step.args.content !== 'string') return true;
      return stat.isFile() && fs.readFileSync(path, 'utf8') === step.args.content;
  }
}
