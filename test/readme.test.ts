import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { complaints } from './compile.ts';
import { Hello, ROOT } from './hello.ts';

/** `UPDATE_README=1 npx vitest run test/readme.test.ts` writes what the commands print now. */
const UPDATE = process.env['UPDATE_README'] === '1';
const FILE = join(ROOT, 'README.md');
const readme = readFileSync(FILE, 'utf8');

describe('the TypeScript of the README', () => {
  const examples = [...readme.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => match[1] ?? '');
  const said = complaints(
    'tsconfig.json',
    Object.fromEntries(examples.map((text, at) => [`examples/readme-${String(at)}.ts`, text])),
  );

  test('is there, and compiles', () => {
    expect(examples.length).toBeGreaterThan(0);
    for (const [path, lines] of Object.entries(said)) expect(lines, path).toEqual([]);
  });

  test('would not with a mistake in it', () => {
    const [first = ''] = examples;
    const wrong = first.replace('needs.build.release', 'needs.build.relaese');
    expect(complaints('tsconfig.json', { 'examples/readme-wrong.ts': wrong })['examples/readme-wrong.ts']?.[0]).toMatch(
      /^TS2551: .*'relaese'/,
    );
  });
});

describe('the output in the README', () => {
  const hello = new Hello();
  afterAll(async () => {
    await hello.slipway(['rehearsal', 'stop']);
    hello.remove();
  });

  /** A block is commands behind `$`, each followed by what it prints on both outputs. They run in `examples/hello`, one block after the other. */
  const BLOCK = /(<!-- example: ([a-z-]+) -->\n```console\n)([\s\S]*?)(```\n<!-- \/example -->)/g;
  const blocks = [...readme.matchAll(BLOCK)].map(([, , name = '', text = '']) => ({ name, text }));

  async function played(text: string): Promise<string> {
    let out = '';
    for (const [, command = ''] of text.matchAll(/^\$ (.*)$/gm)) {
      const { stdout } = await hello.run('sh', ['-c', `exec 2>&1\n${command}`], {
        PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
      });
      out += `$ ${command}\n${stdout}`;
    }
    return out;
  }

  test('is there', () => {
    expect(blocks.map(({ name }) => name)).toEqual(['dry-run', 'deploy', 'failed']);
  });

  test('is what the commands print', async () => {
    const real: string[] = [];
    for (const { text } of blocks) real.push(await played(text));
    if (UPDATE)
      writeFileSync(
        FILE,
        readme.replace(
          BLOCK,
          (_, before: string, _name, _text, after: string) => `${before}${real.shift() ?? ''}${after}`,
        ),
      );
    else expect(neutral(blocks.map(({ text }) => text).join(''))).toBe(neutral(real.join('')));
  });
});

test('the links of the README lead to files', () => {
  const links = [...readme.matchAll(/\]\(([^)#]+)[^)]*\)/g)]
    .map((match) => match[1] ?? '')
    .filter((link) => !/^[a-z]+:/.test(link));
  expect(links.length).toBeGreaterThan(3);
  expect(links.filter((link) => !existsSync(join(ROOT, link)))).toEqual([]);
});

/** A text without what differs from run to run: ids are numbered in their order, and a probe may have been asked more than once. */
function neutral(text: string): string {
  const ids: string[] = [];
  const numbered = text.replace(
    /\b[0-9a-f]{16}\b/g,
    (id) => `‹release ${String(ids.includes(id) ? ids.indexOf(id) : ids.push(id) - 1)}›`,
  );
  const timeless = numbered
    .replace(/\d+\.\d s\b/g, '‹time›')
    .replace(/127\.0\.0\.1:\d+/g, '127.0.0.1:‹port›')
    .replace(/\bplan [0-9a-f]{12}\b/g, 'plan ‹digest›');
  const lines = timeless.split('\n');
  return lines.filter((line, at) => line === '' || line !== lines[at - 1]).join('\n');
}
