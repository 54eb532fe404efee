import * as fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { declaredFiles, undeclared } from '../../lib/host/undeclared.ts';
import { tempDir } from './rig.ts';

test('what one task leaves out of its outputs is still an input of another that declares it', () => {
  const dir = tempDir();
  fs.mkdirSync(join(dir, 'gen'));
  for (const path of ['gen/kept', 'gen/made', 'gen/stray']) fs.writeFileSync(join(dir, path), '');
  const declared = { inputs: ['gen/kept'], outputs: [], needed: [['gen/**', '!gen/kept', '!gen/stray']] };
  const done = {
    reads: new Set(['gen/kept', 'gen/made', 'gen/stray']),
    lists: new Set<string>(),
    writes: new Set<string>(),
  };
  const before = { inputs: new Set<string>(), outputs: declaredFiles(dir, declared.outputs) };
  expect(undeclared(dir, done, declared, before)).toEqual({ inputs: ['gen/stray'], outputs: [] });
});
