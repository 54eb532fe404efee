import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ESLint } from 'eslint';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { complaints, readConfig } from './compile.ts';

const ROOT = join(import.meta.dirname, '..');

/** Ways to read a ref by mistake, and the rules of which one must say so; those without are right. */
const READINGS: readonly { readonly reading: string; readonly rules: readonly string[] }[] = [
  { reading: 'if (same) p.fail("same");', rules: ['no-unnecessary-condition', 'strict-boolean-expressions'] },
  { reading: 'if (!same) p.fail("same");', rules: ['no-unnecessary-condition', 'strict-boolean-expressions'] },
  { reading: 'while (same) p.fail("same");', rules: ['no-unnecessary-condition', 'strict-boolean-expressions'] },
  { reading: 'p.fail(same ? "a" : "b");', rules: ['no-unnecessary-condition', 'strict-boolean-expressions'] },
  { reading: 'p.fail((same && "a") as string);', rules: ['no-unnecessary-condition', 'strict-boolean-expressions'] },
  { reading: 'p.fail(`release ${release}`);', rules: ['restrict-template-expressions'] },
  { reading: 'p.fail(`port ${port}`);', rules: ['restrict-template-expressions'] },
  { reading: 'p.fail("release " + release);', rules: ['restrict-plus-operands'] },
  { reading: 'p.fail(release + " is there");', rules: ['restrict-plus-operands'] },
  { reading: 'let all = "all"; all += release; p.fail(all);', rules: ['restrict-plus-operands'] },
  { reading: 'p.take(text`release ${release}`);', rules: [] },
  { reading: 'p.take(equals(release, "x"));', rules: [] },
];

const snippet = (reading: string): string => `import { equals, text, type Ref } from 'slipway';
interface Fake { fail(message: string): void; take(value: unknown): void }
export function reads(p: Fake, same: Ref<boolean>, release: Ref<string>, port: Ref<number>): void {
  ${reading}
  p.take([equals(release, 'y'), text\`\${release}\`, same, port]);
}
`;

describe("a ref read by mistake is an error of the repository's lint", () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'slipway-lint-')));
  const found = new Map<string, readonly string[]>();
  const fileOf = (reading: string): string =>
    join(folder, `reading-${String(READINGS.findIndex((one) => one.reading === reading))}.ts`);

  beforeAll(async () => {
    for (const { reading } of READINGS) writeFileSync(fileOf(reading), snippet(reading));
    const typeRoots = [join(ROOT, 'node_modules/@types')];
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        extends: join(ROOT, 'tsconfig.json'),
        compilerOptions: { typeRoots, paths: { slipway: [join(ROOT, 'lib/index.ts')] } },
        include: ['*.ts'],
      }),
    );
    const parserOptions = {
      project: ['./tsconfig.json'],
      tsconfigRootDir: folder,
      disallowAutomaticSingleRunInference: true,
    };
    const eslint = new ESLint({
      cwd: folder,
      overrideConfigFile: join(ROOT, 'eslint.config.js'),
      overrideConfig: { languageOptions: { parserOptions } },
    });
    for (const { filePath, messages } of await eslint.lintFiles(['*.ts'])) {
      found.set(
        filePath,
        messages
          .filter(({ severity }) => severity === 2)
          .map(({ ruleId, message }) => ruleId?.replace('@typescript-eslint/', '') ?? message),
      );
    }
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(READINGS)('$reading', ({ reading, rules }) => {
    const said = found.get(fileOf(reading));
    if (rules.length === 0) expect(said).toEqual([]);
    else for (const rule of rules) expect(said).toContain(rule);
  });
});

describe('model, engine and ops', () => {
  const PURE = ['model', 'engine', 'ops'];
  const IMPURE = [
    "import { readFileSync } from 'node:fs'; export const x = readFileSync;",
    "import fs from 'fs'; export const x = fs;",
    "export const x = await import('node:child_process');",
    'export const x = process.env;',
    "export const x = fetch('http://127.0.0.1');",
    'export const x = setTimeout(() => undefined, 1);',
    'export const x = setInterval(() => undefined, 1);',
    'export const x = performance.now();',
    "export const x = Buffer.from('x');",
    "console.log('x'); export {};",
    "export const x = require('fs');",
    'export const x = crypto.randomUUID();',
  ];
  const path = (row: string, at: number): string => `lib/${row}/impure-${String(at)}.ts`;
  const sane = (row: string): string => `lib/${row}/pure.ts`;
  const said = complaints('tsconfig.pure.json', {
    ...Object.fromEntries(PURE.flatMap((row) => IMPURE.map((text, at) => [path(row, at), text]))),
    ...Object.fromEntries(
      PURE.map((row) => [
        sane(row),
        "import { canonical } from '../model/json.ts'; export const x = canonical([1, 'a']);",
      ]),
    ),
  });

  // 2304, 2307, 2580, 2584, 2591: no such name or module without Node's types or the DOM's.
  test.each(IMPURE)('do not compile with: %s', (text) => {
    for (const row of PURE)
      expect(said[path(row, IMPURE.indexOf(text))]?.[0]).toMatch(/^TS(2304|2307|2580|2584|2591):/);
  });

  test('compile without, and are all looked at', () => {
    for (const row of PURE) expect(said[sane(row)]).toEqual([]);
    const looked = readConfig('tsconfig.pure.json').fileNames.map((name) => name.slice(ROOT.length + 1));
    const all = readConfig('tsconfig.json').fileNames.map((name) => name.slice(ROOT.length + 1));
    expect(looked.length).toBeGreaterThan(20);
    expect(all.filter((name) => PURE.includes(name.split('/')[1] ?? '') && name.startsWith('lib/')).sort()).toEqual(
      [...looked].sort(),
    );
  });
});
