import { execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMask } from '../../lib/host/mask.ts';
import { Tail, TAIL_LINES, TAIL_LINE_CHARS } from '../../lib/host/tail.ts';
import { nodeEval, rig, run, shell, tempDir } from './rig.ts';

test('a secret split over chunks is masked in log, tail and live output', async () => {
  const r = rig({ secrets: { TOKEN: 's3cr3t-value', LONG: 's3cr3t-value-longer' } });
  const script = [
    'echo a s3cr3t-value b',
    'printf s3cr',
    'sleep 0.05',
    'printf "3t-va"',
    'sleep 0.05',
    'printf "lue-longer c"',
    'sleep 0.05',
    'printf " s3cr3t-valu"',
    'exit 1',
  ].join('; ');
  const performed = await r.host.perform(run(['sh', '-c', script]), r.performing);
  const masked = 'a *** b\n*** c s3cr3t-valu';
  expect(r.shown()).toBe(masked);
  expect(r.log()).toBe(masked);
  expect(performed).toMatchObject({ failure: { tail: ['a *** b', '*** c s3cr3t-valu'] } });
});

test('masking pieces is masking the whole, wherever it is cut', () => {
  const pieces = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 6 }), { maxLength: 8 });
  const secrets = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 5 }), {
    maxLength: 3,
  });
  fc.assert(
    fc.property(secrets, pieces, (values, parts) => {
      const mask = createMask(values);
      const stream = mask.stream();
      const out = parts.map((part) => stream.push(part)).join('') + stream.flush();
      expect(out).toBe(mask.text(parts.join('')));
    }),
    { numRuns: 2_000 },
  );
});

test('forms in which a secret is printed are hidden, too', () => {
  const mask = createMask(['p"w d&é', '-----BEGIN\nabcdefghijkl\n-----END\n']);
  expect(mask.text('{"p":"p\\"w d&é"} ?p=p%22w%20d%26%C3%A9&q=p%22w+d%26%C3%A9 abcdefghijkl')).toBe(
    '{"p":"***"} ?p=***&q=*** ***',
  );
  expect(createMask(['']).text('nothing')).toBe('nothing');
});

test('a character split over chunks arrives whole', async () => {
  const r = rig();
  await r.host.perform(
    shell("printf 'a\\303'; sleep 0.05; printf '\\274b \\360\\237'; sleep 0.05; printf '\\232\\200\\377'"),
    r.performing,
  );
  expect(r.shown()).toBe('aüb 🚀�');
  expect(r.log()).toBe('aüb 🚀�');
});

test('the tail keeps the last lines, each bounded', () => {
  const tail = new Tail();
  for (let n = 0; n < 100; n++) tail.push('stdout', `${String(n)}\n`);
  tail.push('stderr', 'x'.repeat(10_000));
  tail.push('stderr', 'x\r\nhalf');
  const lines = tail.lines();
  expect(lines).toHaveLength(TAIL_LINES);
  expect(lines.slice(-3)).toEqual(['99', 'x'.repeat(TAIL_LINE_CHARS), 'half']);
});

test('a child that writes 300 MB does not grow the runner', async () => {
  const dir = tempDir();
  const probe = new URL('./big-writer.ts', import.meta.url).pathname;
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', probe, dir, '300'], {
    maxBuffer: 1e9,
  });
  const { grownMb, loggedMb } = JSON.parse(stdout) as { grownMb: number; loggedMb: number };
  expect(loggedMb).toBe(300);
  expect(grownMb).toBeLessThan(120);
}, 60_000);

test('a child faster than the one who reads the runner waits', async () => {
  const dir = tempDir();
  const probe = new URL('./big-writer.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, ['--import', 'tsx', probe, dir, '100', 'print'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let bytes = 0;
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes < 2e6) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { grownMb } = JSON.parse((await import('node:fs')).readFileSync(join(dir, 'grown.json'), 'utf8')) as {
    grownMb: number;
  };
  expect(bytes).toBe(100e6);
  expect(grownMb).toBeLessThan(80);
}, 60_000);

test('live output comes while the command runs', async () => {
  const r = rig();
  let seen = '';
  const source =
    "process.stdout.write('first\\n'); const t = setInterval(() => { if (require('fs').existsSync('go')) { clearInterval(t); console.error('second') } }, 5)";
  await r.host.perform(run(nodeEval(source)), {
    ...r.performing,
    output: (_, text) => {
      seen += text;
      if (text === 'first\n') void import('node:fs').then((fs) => fs.writeFileSync(r.path('go'), ''));
    },
  });
  expect(seen).toBe('first\nsecond\n');
});
