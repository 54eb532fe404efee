import { cpSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { Stranger, type Ended } from './strangers.ts';

export const ROOT = join(import.meta.dirname, '..');

/** A copy of `examples/hello` in a folder of its own; it runs this checkout's sources. */
export class Hello extends Stranger {
  constructor() {
    super();
    cpSync(join(ROOT, 'examples/hello'), this.path, { recursive: true, filter: (path) => !path.includes('.slipway') });
    this.write(
      'tsconfig.json',
      JSON.stringify({ compilerOptions: { module: 'NodeNext', paths: { slipway: [join(ROOT, 'lib/index.ts')] } } }),
    );
    symlinkSync(join(ROOT, 'node_modules'), join(this.path, 'node_modules'));
  }

  /** `slipway ARGS`, under this Node or another. */
  slipway(args: readonly string[], node = process.execPath): Promise<Ended> {
    return this.run(node, ['--import', 'tsx', 'tasks.ts', ...args]);
  }

  /** What a person at a terminal reads: both outputs, in the order in which they were written. */
  async read(args: readonly string[]): Promise<{ readonly status: number | null; readonly text: string }> {
    const { status, stdout } = await this.run('sh', [
      '-c',
      'exec "$@" 2>&1',
      'sh',
      process.execPath,
      '--import',
      'tsx',
      'tasks.ts',
      ...args,
    ]);
    return { status, text: stdout };
  }
}
