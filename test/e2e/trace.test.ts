import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { TSX, inProject } from './project.ts';

const missing = spawnSync('strace', ['-V']).error === undefined ? null : 'strace (apt-get install strace)';

/** System calls that change files, and those that reach out of the process. */
const CALLS = [
  'openat,open,creat,write,pwrite64,writev,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,link,linkat,symlink,symlinkat',
  'truncate,ftruncate,chmod,fchmod,fchmodat,chown,fchown,fchownat,utimensat,mknod,mknodat,socket,socketpair,connect,bind,listen,execve,execveat,kill',
].join(',');

/** Files and links of a tree with their contents and times. */
function treeOf(folder: string): string {
  const hash = createHash('sha256');
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    const path = join(folder, name);
    const stat = lstatSync(path);
    const content = stat.isFile() ? readFileSync(path) : stat.isSymbolicLink() ? readlinkSync(path) : '';
    hash.update(`${name}\0${String(stat.mode)}\0${String(stat.mtimeMs)}\0`).update(content);
  }
  return hash.digest('hex');
}

/** What a traced process did to the world, beyond its own standard streams, pipes, events and threads. */
function deeds(trace: string, tmp: string): string[] {
  return trace.split('\n').filter((line) => {
    const call = /^\d+ +(\w+)\((.*)$/.exec(line);
    const [, name = '', rest = ''] = call ?? [];
    if (name === '' || rest.includes(tmp)) return false;
    if (name === 'connect') return true;
    // tsx looks below TMPDIR for the pipe of a watcher; what is connected to is seen above.
    if (/= -1 E/.test(line) || rest.startsWith('AF_UNIX, SOCK_STREAM')) return false;
    if (/^open/.test(name))
      return /O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND/.test(rest) && !rest.includes('"/dev/null"');
    // The name behind a descriptor is what strace -y shows: 1</path>, 3<pipe:[7]>, 5<anon_inode:[eventfd]>.
    if (/^p?write/.test(name)) return !/^(1|2)</.test(rest) && !/^\d+<(pipe|anon_inode)[:\]]/.test(rest);
    return true;
  });
}

test.skipIf(missing !== null)(
  `a dry run writes nothing, opens no socket and starts no process${missing === null ? '' : ` (skipped: no ${missing})`}`,
  () =>
    inProject({}, async (project) => {
      for (const state of ['never built', 'deployed']) {
        if (state === 'deployed') expect((await project.run(['deploy'])).status).toBe(0);
        const tmp = project.path('tmp');
        mkdirSync(tmp, { recursive: true });
        const env = { ...project.env({ TMPDIR: tmp }) };
        const argv = [process.execPath, '--import', TSX, 'tasks.ts', 'deploy', '--dry-run'];
        // Once before: tsx compiles, and keeps what it compiled below TMPDIR.
        execFileSync(argv[0] ?? '', argv.slice(1), { cwd: project.dir, env });
        const before = treeOf(project.dir);
        const log = join(project.dir, '..', `${String(process.pid)}.strace`);
        const traced = spawnSync('strace', ['-f', '-y', '-s', '200', '-o', log, '-e', `trace=${CALLS}`, ...argv], {
          cwd: project.dir,
          env,
          encoding: 'utf8',
        });
        const trace = readFileSync(log, 'utf8');
        execFileSync('rm', [log]);
        expect(traced.status, traced.stderr).toBe(0);
        expect(traced.stdout).toContain('nothing performed');
        const [first, ...others] = deeds(trace, tmp);
        expect(first, 'strace itself starts node').toMatch(/ execve\("/);
        expect(others, state).toEqual([]);
        expect(treeOf(project.dir), state).toBe(before);
      }
    }),
);
