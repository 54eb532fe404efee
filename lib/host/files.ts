import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { StepFailed, type Failure } from '../model/failure.ts';
import { textOf } from '../model/json.ts';
import type { Step } from '../model/step.ts';
import { insideProject } from './inside.ts';
import { plainText } from './plain-text.ts';
import { putBack, replace, save, savedPlace } from './saved.ts';
import { codeOf, writeFileAtomic } from './store.ts';
import { removeTree } from './tree.ts';

/** A step that acts on files `here`. */
export type FileStep = Extract<Step, { kind: 'write' | 'link' | 'remove' | 'restore' }>;

/** Where file steps act, and where they keep what they found. */
export interface FileSite {
  readonly projectDir: string;
  readonly slipwayDir: string;
  readonly run: string;
  /** What a step that restores puts back was surely saved. */
  readonly acted: boolean;
}

/** Performs a file step; what it fails with, `null` when it did it. */
export function performFile(step: FileStep, site: FileSite): Failure | null {
  let given: string = step.kind;
  try {
    given = plainText(step.args.path, `the path of ${step.id}`);
    act(step, insideProject(site.projectDir, given), site);
    return null;
  } catch (error) {
    if (error instanceof StepFailed) return error.failure;
    return { reason: 'file-system', code: codeOf(error), path: given, operation: step.kind };
  }
}

function act(step: FileStep, path: string, site: FileSite): void {
  // What `derives` can be made again, and what `collects` removes nobody asks for: only a change is kept.
  const keep = (how: 'copy' | 'move'): void => {
    if (step.effect === 'changes') save(savedPlace(site.slipwayDir, site.run, step.id, path), how);
  };
  switch (step.kind) {
    case 'write':
      refuse(path, (stat) => !stat.isFile() && !stat.isSymbolicLink(), 'is there and no file');
      keep('copy');
      fs.mkdirSync(dirname(path), { recursive: true });
      return writeFileAtomic(path, plainText(step.args.content, `the content of ${step.id}`), step.args.mode);
    case 'link': {
      const { target } = step.args;
      refuse(path, (stat) => !stat.isSymbolicLink(), 'is there and no link');
      keep('copy');
      // Made beside and renamed: `ln -s` over a link follows it.
      return target === null
        ? removeTree(path)
        : replace(path, (beside) => fs.symlinkSync(plainText(target, `the target of ${step.id}`), beside));
    }
    case 'remove':
      keep('move');
      return removeTree(path);
    case 'restore':
      if (!putBack(savedPlace(site.slipwayDir, site.run, step.args.saved, path)) && site.acted)
        throw new StepFailed({
          reason: 'refused',
          message: `${notKept(textOf(step.args.path), site.run)}, then remove .slipway/runs/${site.run}`,
        });
  }
}

/** Said of what should be put back. */
export const notKept = (path: string, run: string): string =>
  `what ${path} was before run ${run} is no longer kept: put it back by hand`;

function refuse(path: string, bad: (stat: fs.Stats) => boolean, why: string): void {
  const stat = fs.lstatSync(path, { throwIfNoEntry: false });
  if (stat && bad(stat)) throw new StepFailed({ reason: 'refused', message: `${JSON.stringify(path)} ${why}` });
}
