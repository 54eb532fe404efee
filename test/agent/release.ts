import { createHash } from 'node:crypto';
import { given, type Agent, type Failure } from './client.ts';

export const sha256 = (content: string | Buffer): string => createHash('sha256').update(content).digest('hex');

/** JSON as the digest is taken of it: sorted keys, no blanks. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical((value as { readonly [key: string]: unknown })[key])}`).join(',')}}`;
}

type Content =
  | string
  | Buffer
  | { readonly link: string }
  | { readonly folder: number }
  | { readonly content: string; readonly mode: number };

export interface Manifest {
  readonly version: number;
  readonly name: string;
  readonly system: object;
  readonly entries: readonly object[];
  readonly wheels: readonly string[];
}

/** A release as the packer would make it. */
export interface Packed {
  readonly id: string;
  readonly manifest: Manifest;
  readonly contents: ReadonlyMap<string, Buffer>;
}

/** Packs files by path; `system` and `wheels` stand in the manifest. */
export function pack(
  files: { readonly [path: string]: Content },
  system: object = {},
  wheels: readonly string[] = [],
): Packed {
  const contents = new Map<string, Buffer>();
  const sorted = Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1));
  const entries = sorted.map(([path, what]) => {
    if (typeof what === 'object' && 'link' in what) return { path, kind: 'link', target: what.link };
    if (typeof what === 'object' && 'folder' in what) return { path, kind: 'folder', mode: what.folder };
    const [content, mode] = typeof what === 'object' && 'mode' in what ? [what.content, what.mode] : [what, 0o644];
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    contents.set(sha256(bytes), bytes);
    return { path, kind: 'file', mode, size: bytes.length, sha256: sha256(bytes) };
  });
  const made = { version: 1, name: 'demo', system: { name: 'demo', services: [], ...system }, entries, wheels };
  const manifest = JSON.parse(JSON.stringify(made)) as Manifest;
  return { id: sha256(canonical(manifest)).slice(0, 16), manifest, contents };
}

/** The blobs of some contents, and their bytes. */
export function blobs(contents: readonly Buffer[]): { readonly list: [string, number][]; readonly body: Buffer } {
  return { list: contents.map((content) => [sha256(content), content.length]), body: Buffer.concat(contents) };
}

/** Begins a release; the digests that are missing of it. */
export async function begin(agent: Agent, release: Packed): Promise<string[]> {
  const text = Buffer.from(canonical(release.manifest));
  const { missing } = await agent.ok('upload.begin', { release: release.id }, text);
  return missing.map((index) => (release.manifest.entries[index] as { readonly sha256: string }).sha256);
}

/** Begins a release and sends what is missing of it. */
export async function send(agent: Agent, release: Packed): Promise<string[]> {
  const missing = await begin(agent, release);
  const { list, body } = blobs(missing.map((digest) => given(release.contents.get(digest))));
  if (list.length > 0) await agent.ok('upload.put', { blobs: list }, body);
  return missing;
}

/** Sends a release that is refused, at whichever moment; why. */
export async function refused(agent: Agent, release: Packed): Promise<Failure> {
  const text = Buffer.from(canonical(release.manifest));
  const begun = await agent.ask('upload.begin', { release: release.id }, text);
  if (!begun.ok) return given(begun.failure);
  await send(agent, release);
  return agent.fails('upload.stage', { release: release.id });
}

/** Sends a release and stages it, unless it is there whole. */
export async function stage(agent: Agent, release: Packed): Promise<string> {
  await send(agent, release);
  const answer = await agent.ask('upload.stage', { release: release.id });
  // A release that is there whole is not begun.
  if (!answer.ok && answer.failure?.code !== 'not-begun') throw new Error(JSON.stringify(answer.failure));
  return release.id;
}

/** Stages, links and confirms a release without services. */
export async function activate(agent: Agent, release: Packed, step = `link-${release.id}`): Promise<string> {
  await stage(agent, release);
  await agent.ok('link', { path: 'current', target: `releases/${release.id}`, step });
  await agent.ok('release.confirm', { release: release.id });
  return release.id;
}

/** A tiny HTTP service that reports its release at /health. */
export const SERVER = `
import http.server, json, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"release": os.environ["RELEASE_ID"]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer.allow_reuse_address = True
print("listening", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
`;

/** A service that ignores TERM, and whose child in a session of its own ignores it, too. */
export const STUBBORN = `
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
open(os.environ["PIDS"], "a").write(str(os.getpid()) + "\\n")
while True:
    time.sleep(1)
`;

/** The declaration of the HTTP service. */
export const web = (more: object = {}): object => ({
  name: 'web',
  argv: ['python3', 'server.py', { port: 'web' }],
  listens: 'private',
  health: { path: '/health', release: 'release' },
  memoryMb: 50,
  ...more,
});

/** A release with the HTTP service; `note` makes another release of it. */
export const webRelease = (note = '', more: object = {}, services: readonly object[] = []): Packed =>
  pack({ 'server.py': SERVER, 'note.txt': note }, { services: [web(more), ...services] });
