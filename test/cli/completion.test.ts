import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SCRIPTS } from '../../lib/cli/completion/scripts.ts';
import { completionWords } from '../../lib/cli/completion/words.ts';
import { FLAGS, VERBS } from '../../lib/cli/flags.ts';
import { choice, string } from '../../lib/model/param.ts';
import { task } from '../../lib/model/task.ts';
import { tasks } from './fixtures/tasks.ts';

const quoted = task('ship', {
  summary: 'It\'s "quoted"; $(touch pwned) `x`\t<b>',
  params: {
    how: choice({ summary: 'how', choices: ['fast', 'two words', '$(touch pwned)', '-x'] }),
    note: string({ summary: 'a note', default: '' }),
  },
});
const project = { tasks: [...tasks, quoted], devices: ['board'] };

const dir = realpathSync(mkdtempSync(join(tmpdir(), 'slipway-completion-')));
const at = (name: string): string => join(dir, name);
/** How often the project's own code was asked. */
const asked = (): number => (existsSync(at('asked')) ? readFileSync(at('asked'), 'utf8').length : 0);

beforeAll(() => {
  for (const folder of ['bin', 'tasks', 'below', 'home', '.slipway/runs/20260102-030405-abcd'])
    mkdirSync(at(folder), { recursive: true });
  writeFileSync(at('tasks.ts'), '');
  writeFileSync(at('plan-file.json'), '');
  writeFileSync(at('words'), completionWords(project));
  writeFileSync(
    at('bin/slipway'),
    `#!/bin/sh\n[ "$*" = "completion words" ] || exit 9\nprintf x >>${at('asked')}\ncat ${at('words')}\n`,
  );
  chmodSync(at('bin/slipway'), 0o755);
  for (const shell of ['bash', 'zsh', 'fish'] as const) writeFileSync(at(`script.${shell}`), SCRIPTS[shell]);
});
beforeEach(() => {
  writeFileSync(at('words'), completionWords(project));
  rmSync(at('.slipway/completion'), { force: true });
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Runs a shell's script in the project, with nothing of the operator's around it. */
function run(command: string, args: readonly string[], cwd = dir): string {
  const { stdout, stderr, status } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    input: '',
    env: { PATH: `${at('bin')}:${process.env['PATH'] ?? ''}`, HOME: at('home'), LANG: 'C.UTF-8', TERM: 'xterm' },
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

const BASH = String.raw`
COMP_LINE=$1 COMP_POINT=\${#1}
# As readline cuts it: at blanks, and at : and =, which are words of their own.
IFS=$'\n' read -rd '' -a COMP_WORDS < <(printf %s "$1" | sed -E 's/([:=])/ \1 /g' | tr -s ' ' '\n')
case $1 in *[' :=']) COMP_WORDS+=("") ;; esac
COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
_slipway "$2" "\${COMP_WORDS[COMP_CWORD]}" ''
printf '%s\n' "\${COMPREPLY[@]}"`.replaceAll('\\${', '${');

const bash = (line: string, cwd?: string): string[] =>
  lines(run('bash', ['--norc', '-c', `source ${at('script.bash')}; ${BASH}`, 'bash', line, 'slipway'], cwd));
const fish = (line: string, cwd?: string): string[] =>
  lines(run('fish', ['--no-config', '-c', `source ${at('script.fish')}; complete -C "$argv[1]"`, line], cwd)).map(
    (found) => found.split('\t')[0] ?? '',
  );

/** A real zsh with its completion system, behind a terminal of its own; what compadd is given is printed. */
const ZSH = String.raw`
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "PS1= PROMPT_EOL_MARK=; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -d $HOME/dump; zstyle ':completion:*' list-prompt ''"
zpty -w z "source $1"
zpty -w z 'compadd() { local -a a; case "$*" in *-d*told*) for n in "\${names[@]}"; [[ $n == "$PREFIX"* ]] && echo "<<$n>>" ;; *) echo "<<@file>>" ;; esac; }'
zpty -w z 'c() { zle complete-word; echo "<<END>>" }; zle -N c; bindkey "^T" c; echo "<<"READY">>"'
zpty -r z out '*<<READY>>*'
zpty -w -n z "$2"$'\x14'
zpty -r z out '*<<END>>*'
print -r -- "$out"
zpty -d z`.replaceAll('\\${', '${');

function zsh(line: string, cwd?: string): string[] {
  const out = run('zsh', ['-f', '-c', ZSH, 'zsh', at('script.zsh'), line], cwd);
  return [...new Set([...out.matchAll(/<<([^<>]*)>>/g)].map(([, name = '']) => name))].filter((name) => name !== 'END');
}

const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');
const verbs = VERBS.map(({ name }) => name);
const missing = (shell: string): boolean => spawnSync(shell, ['--version']).error !== undefined;

const SHELLS = { bash, zsh, fish } as const;
describe.each(['bash', 'zsh', 'fish'] as const)('%s', (name) => {
  const gone = missing(name);
  const complete = SHELLS[name];
  const note = gone ? ` (skipped: no ${name})` : '';

  test.skipIf(gone)(`tasks and verbs by their beginning, and no hidden task${note}`, () => {
    expect(complete('slipway de')).toEqual(['deploy']);
    expect(complete('slipway ').sort()).toEqual(['build', 'deploy', 'migrate', 'ship', 'test', ...verbs].sort());
    expect(complete('slipway deploy mi')).toEqual(['migrate']);
    expect(complete('slipway deploy sta')).toEqual([]);
    expect(complete('slipway nothing-like-it')).toEqual([]);
  });

  test.skipIf(gone)(`flags, and the params of the tasks that are named${note}`, () => {
    expect(complete('slipway --').sort()).toEqual(
      FLAGS.map((flag) => `--${flag.name}`)
        .filter((flag) => flag !== '--with-data')
        .sort(),
    );
    expect(complete('slipway test --ma')).toEqual(['--max-age']);
    expect(complete('slipway deploy --ma')).toEqual([]);
    expect(complete('slipway -j 4 migrate --t').sort()).toEqual(['--to', '--token']);
    expect(complete('slipway uninstall --w')).toEqual(['--with-data']);
    expect(complete('slipway status --').sort()).toEqual(['--device', '--json']);
  });

  test.skipIf(gone)(`values: choices that are one word, devices, runs, files${note}`, () => {
    expect(complete('slipway deploy --to ').sort()).toEqual(['board', 'rehearsal']);
    expect(complete('slipway --to board deploy --ye')).toEqual(['--yes']);
    expect(complete('slipway migrate --kind a')).toEqual(['apply']);
    // Of what would have to be quoted nothing is offered: the rest would look like all of it.
    expect(complete('slipway ship --how ')).toEqual([]);
    expect(complete('slipway --output ').sort()).toEqual(['grouped', 'prefixed']);
    expect(complete('slipway ship --note ')).toEqual([]);
    expect(complete('slipway --graph d').sort()).toEqual(
      ['deploy', 'doctor', 'dot'].filter((word) => word.startsWith('d')).sort(),
    );
    expect(complete('slipway show ')).toEqual(['20260102-030405-abcd']);
    expect(complete('slipway show x ')).toEqual([]);
    expect(complete('slipway rehearsal ')).toEqual(['stop']);
    expect(complete('slipway logs --device b')).toEqual(['board']);
    expect(complete('slipway apply plan-')).toEqual([name === 'zsh' ? '@file' : 'plan-file.json']);
    expect(complete('slipway deploy -- --t')).toEqual([]);
  });

  test.skipIf(gone)(`values behind =${note}`, () => {
    expect(complete('slipway migrate --kind=a')).toEqual([name === 'bash' ? 'apply' : '--kind=apply']);
  });

  test.skipIf(gone)(`below the project's folder, and nothing outside of one${note}`, () => {
    expect(complete('slipway mig', at('below'))).toEqual(['migrate']);
    expect(complete('slipway mig', tmpdir())).toEqual([]);
  });

  test.skipIf(gone)(`asks the project only when its tasks are newer than what is kept${note}`, () => {
    complete('slipway de');
    const before = asked();
    for (let i = 0; i < 3; i++) complete('slipway de');
    expect(asked()).toBe(before);
    utimesSync(at('.slipway/completion'), 1, 1);
    writeFileSync(at('tasks/new.ts'), '');
    expect(complete('slipway de')).toEqual(['deploy']);
    expect(asked()).toBe(before + 1);
  });

  test.skipIf(gone)(`a tasks.ts that is broken leaves what is kept; no text is run${note}`, () => {
    complete('slipway de');
    writeFileSync(at('words'), completionWords(project).slice(0, 200));
    utimesSync(at('.slipway/completion'), 1, 1);
    const before = asked();
    expect(complete('slipway mig')).toEqual(['migrate']);
    expect(asked()).toBe(before + 1);
    expect(existsSync(at('pwned'))).toBe(false);
    expect(execFileSync('ls', [at('.slipway')], { encoding: 'utf8' })).toBe('completion\nruns\n');
  });
});

test.skipIf(missing('bash'))('bash: a task with a colon, and a function of one’s own', () => {
  const line = 'slipway test:';
  writeFileSync(at('words'), completionWords({ tasks: [task('test:unit', { summary: 'U.' }), ...tasks] }));
  rmSync(at('.slipway/completion'), { force: true });
  expect(bash(line)).toEqual(['unit']);
  const own = `source ${at('script.bash')}; runs() { slipway "$@"; }; complete -F _slipway runs; ${BASH}`;
  rmSync(at('.slipway/completion'), { force: true });
  expect(lines(run('bash', ['--norc', '-c', own, 'bash', 'runs test:', 'runs']))).toEqual(['unit']);
});
