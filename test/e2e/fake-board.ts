import type { Project } from './project.ts';

/** Python that makes a board another machine: what the agent asks its interpreter answers so. */
export const ARM64 = "platform.machine = lambda: 'aarch64'\n";
export const HOUR_BEHIND = '_time = time.time\ntime.time = lambda: _time() - 3600\n';

/** A module that adds Python to the agent, where its imports are done; for `preload`. */
export function fakeBoard(project: Project, python: string): string {
  project.write(
    'fake-board.mjs',
    FAKE.replace('PYTHON', () => JSON.stringify(python)),
  );
  return `file://${project.path('fake-board.mjs')}`;
}

const FAKE = `
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
const { readFileSync } = fs;
fs.readFileSync = (path, ...rest) => {
  const content = readFileSync(path, ...rest);
  return String(path).endsWith('/00_head.py') ? Buffer.concat([content, Buffer.from(PYTHON)]) : content;
};
syncBuiltinESMExports();
`;
