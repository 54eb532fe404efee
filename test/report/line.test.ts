import { expect, test } from 'vitest';
import { deviceName } from '../../lib/model/param.ts';
import { Recorder } from '../../lib/model/recorder.ts';
import { secret, text } from '../../lib/model/ref.ts';
import { s } from '../../lib/model/schema.ts';
import { itemsIn } from '../../lib/model/step.ts';
import { stepLine, undoLines } from '../../lib/report/line.ts';

const JETSON = deviceName('jetson');
const recorded = (body: (p: Recorder) => unknown): string[] =>
  [...itemsIn(Recorder.record('t', body).block)].flatMap((item) => (item.type === 'step' ? [stepLine(item)] : []));

test('every kind of step has its line', () => {
  const lines = recorded((p) => {
    const head = p.run(['git', 'rev-parse', "it's", 'a b', ''], {
      effect: 'reads',
      yields: s.string,
      cwd: 'web',
      env: { TOKEN: secret('TOKEN'), MODE: 'x' },
      okExits: [0, 1],
    });
    const names = p.run(['ls'], { effect: 'reads', yields: s.list(s.string) });
    p.run(['tool', names, text`--id=${head}`, text`a b ${head}`, secret('KEY')], {
      effect: 'derives',
      stdin: 'terminal',
    });
    p.shell('a | b\nc', { effect: 'irreversible', confirm: 'jetson', summary: 'empties it' });
    p.opaque('stamp', { effect: 'reads', summary: 'the time' }, () => Promise.resolve(null));
    const d = p.on(JETSON);
    const { state } = d.probe(
      { name: 'release.state', effect: 'reads', yields: s.object({ state: s.string }) },
      { release: head, list: [1, 2], long: Array.from({ length: 40 }, (_, i) => i) },
    );
    d.call({ name: 'release.collect', effect: 'collects', yields: s.null }, { keep: 3 });
    p.write('out/a.txt', 'hé', { effect: 'derives' });
    p.write('out/b.env', text`A=${secret('A')} ${state}`, { effect: 'derives', mode: 0o600 });
    p.change({
      touches: [],
      do: (p) => {
        p.on(JETSON).link('current', text`releases/${head}`);
        p.on(JETSON).link('old', null);
        p.on(JETSON).remove('tmp/x y');
        p.on(JETSON).upload({ from: 'dist', release: head });
        p.on(JETSON).start({ name: 'backend', release: head });
      },
      undo: (p) => p.on(JETSON).stop({ name: 'backend', release: null }),
    });
  });
  expect(lines).toEqual([
    "reads here: git rev-parse 'it'\\''s' 'a b' '' (in web) (env TOKEN, MODE) (ok: exit 0, 1)",
    'reads here: ls',
    "derives here: tool ‹t/2› --id=‹t/1› 'a b ‹t/1›' ‹secret KEY› (reads the terminal)",
    "irreversible here: sh -c 'a | b⏎c' — empties it (cannot be undone: --confirm jetson)",
    'reads here: function stamp — the time',
    "reads jetson: ask release.state release=‹t/1› list='[1,2]' long='[40 items]'",
    'collects jetson: call release.collect keep=3',
    'derives here: write out/a.txt (3 bytes, mode 0644)',
    'derives here: write out/b.env (content with ‹t/6› ‹secret A›, mode 0600)',
    'changes jetson: link current -> releases/‹t/1›',
    'changes jetson: remove link old',
    "changes jetson: remove 'tmp/x y'",
    'changes jetson: upload dist as release ‹t/1›',
    'changes jetson: start service backend release=‹t/1›',
  ]);
});

test('a lone change is put back as it was found', () => {
  const { block } = Recorder.record('t', (p) => p.on(JETSON).write('conf', 'x'));
  const change = block.items[0];
  if (change?.type !== 'change') throw new Error('no change');
  expect(undoLines(change)).toEqual(['changes jetson: put back conf as t/1.1 found it']);
});
