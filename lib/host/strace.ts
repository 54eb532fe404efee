import { spawnSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

/** What a traced process did to a path: absolute, as it was named; `real`: with links followed, where that is told. */
export interface Access {
  /** `make` is a write of what was surely not there, `alter` of what surely was; `move` is the new place of `from`. */
  readonly what: 'read' | 'list' | 'write' | 'make' | 'alter' | 'remove' | 'rmdir' | 'move';
  readonly path: string;
  readonly real: string | null;
  readonly from?: string;
}

/** System calls by which files are reached; those with `?` do not exist on every architecture. */
const CALLS = [
  '?open,openat,?openat2,?creat,execve,?execveat,truncate,getdents64,?getdents,chdir,fchdir',
  '?rename,?renameat,renameat2,?link,linkat,?symlink,symlinkat,?unlink,unlinkat,?rmdir,?fork,?vfork,clone,?clone3',
].join(',');

/** The argv that runs a command under strace, its accesses written to `file`. Its status and signals are the command's own. */
export const traced = (argv: readonly string[], file: string): readonly string[] => [
  ...['strace', '-f', '-qq', '-y', '-s', '8192', '-e', 'signal=none', '-e', `trace=${CALLS}`, '-o', file, '--'],
  ...argv,
];

/** Why nothing can be traced here, and what would help; `null`: it can. */
export function whyNoTrace(): string | null {
  if (process.platform !== 'linux') return 'strace exists on Linux alone: trace it there, in CI or in a container';
  const { error, status, stderr } = spawnSync('strace', ['-f', '-qq', '-o', '/dev/null', 'true'], { encoding: 'utf8' });
  if (error !== undefined)
    return 'strace is not installed: apt-get install strace (or your distribution’s package of that name)';
  if (status === 0) return null;
  return `strace may not trace here (${stderr.trim().split('\n').at(-1) ?? ''}): a container needs --cap-add SYS_PTRACE`;
}

/** Reads a trace; `cwd` is where the first process began. */
export async function* accessesIn(file: string, cwd: string): AsyncGenerator<Access> {
  const folders = new Map<string, string>();
  const open = new Map<string, string>();
  /** Who is just making a process: it may be heard of before its parent hears its number. */
  let maker: string | null = null;
  for await (const line of createInterface({ input: createReadStream(file) })) {
    const [, pid = '', text = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (!folders.has(pid)) folders.set(pid, folders.get(maker ?? '') ?? cwd);
    if (text.endsWith('<unfinished ...>')) {
      open.set(pid, text.slice(0, -'<unfinished ...>'.length));
      if (/^(v?fork|clone)/.test(text)) maker = pid;
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(text);
    const call = parseCall(resumed ? (open.get(pid) ?? '') + (resumed[1] ?? '') : text);
    if (call === null) continue;
    const here = folders.get(pid) ?? cwd;
    if (/^(v?fork|clone)/.test(call.name)) folders.set(String(call.result), folders.get(String(call.result)) ?? here);
    else if (call.name === 'chdir') folders.set(pid, resolve(here, call.words[0]?.text ?? ''));
    else if (call.name === 'fchdir') folders.set(pid, call.folders[0] ?? here);
    else yield* accessesOf(call, here);
  }
}

/** A call that succeeded; each word with the folder that its descriptor stands for. */
interface Call {
  readonly name: string;
  readonly args: string;
  readonly words: readonly { readonly text: string; readonly folder: string | null }[];
  readonly folders: readonly string[];
  readonly result: number;
  readonly real: string | null;
}

function parseCall(text: string): Call | null {
  const [, name = '', args = '', result = '', real] = /^(\w+)\((.*)\) += (\d+)(?:<(.*)>)?/.exec(text) ?? [];
  if (name === '') return null;
  const words: { text: string; folder: string | null }[] = [];
  const folders: string[] = [];
  let folder: string | null = null;
  for (const [, at, word] of args.matchAll(/(?:AT_FDCWD|\d+)<((?:[^>\\]|\\.)*)>|"((?:[^"\\]|\\.)*)"/g)) {
    if (at !== undefined) folders.push((folder = unescaped(at)));
    if (word === undefined) continue;
    words.push({ text: unescaped(word), folder });
    folder = null;
  }
  return { name, args, words, folders, result: Number(result), real: real === undefined ? null : unescaped(real) };
}

function accessesOf({ name, args, words, folders, real }: Call, cwd: string): readonly Access[] {
  const [first, second] = words.map(({ text, folder }) => resolve(folder ?? cwd, text));
  if (/^getdents/.test(name)) return folders.slice(0, 1).map((path) => ({ what: 'list', path, real: path }));
  if (first === undefined) return [];
  const access = (what: Access['what'], path = first): Access => ({ what, path, real: null });
  if (/^(open|openat|openat2|creat)$/.test(name))
    return opened(args, name === 'creat').map((what) => ({ what, path: first, real }));
  if (name.startsWith('exec')) return [access('read')];
  if (name === 'truncate') return [access('alter')];
  if (name === 'rmdir' || args.includes('AT_REMOVEDIR')) return [access('rmdir')];
  if (name.startsWith('unlink')) return [access('remove')];
  if (second === undefined) return [];
  if (name.startsWith('symlink')) return [access('make', resolve(words[1]?.folder ?? cwd, words[1]?.text ?? ''))];
  if (name.startsWith('link')) return [access('read'), access('make', second)];
  return [{ ...access('move', second), from: first }];
}

function opened(args: string, creates: boolean): readonly Access['what'][] {
  const flags = creates ? 'O_WRONLY|O_CREAT|O_TRUNC' : args;
  if (/O_PATH|O_DIRECTORY|O_TMPFILE/.test(flags)) return [];
  if (!/O_WRONLY|O_RDWR|O_TRUNC/.test(flags)) return ['read'];
  if (/O_EXCL/.test(flags)) return ['make'];
  if (/O_CREAT/.test(flags)) return ['write'];
  return /O_RDWR/.test(flags) && !/O_TRUNC/.test(flags) ? ['read', 'alter'] : ['alter'];
}

/** strace writes bytes as C does: octal, and a letter for some. */
function unescaped(text: string): string {
  if (!text.includes('\\')) return text;
  const letters: { readonly [letter: string]: string } = { n: '\n', t: '\t', r: '\r', v: '\v', f: '\f' };
  const bytes = text.replace(/\\([0-7]{1,3}|.)/g, (_, code: string) =>
    /^[0-7]/.test(code) ? String.fromCharCode(Number.parseInt(code, 8)) : (letters[code] ?? code),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
