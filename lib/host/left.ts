import * as fs from 'node:fs';
import { textOf } from '../model/json.ts';
import type { Step } from '../model/step.ts';
import { insideProject } from './inside.ts';

/** Whether a path is still as this step left it; what other kinds of step left nobody can see. */
export function isAsLeft(step: Step, projectDir: string): boolean {
  if (step.kind !== 'write' && step.kind !== 'link' && step.kind !== 'remove') return true;
  const path = insideProject(projectDir, textOf(step.args.path));
  const stat = fs.lstatSync(path, { throwIfNoEntry: false });
  switch (step.kind) {
    case 'remove':
      return stat === undefined;
    case 'link':
      return step.args.target === null
        ? stat === undefined
        : stat?.isSymbolicLink() === true && fs.readlinkSync(path) === step.args.target;
    case 'write':
      // What holds a secret cannot be compared: plans and journals do not know it.
      if (typeof step.args.content !== 'string') return true;
      return stat?.isFile() === true && fs.readFileSync(path, 'utf8') === step.args.content;
  }
}
