import { textOf, type Json } from '../model/json.ts';
import type { Performing } from '../model/ports.ts';
import { check, s, type Infer, type Schema } from '../model/schema.ts';
import type { Step } from '../model/step.ts';
import type { Answer } from './answer.ts';
import { Buffers } from './blocks.ts';
import { compressionOf } from './frames.ts';
import type { Limits } from './limits.ts';
import type { Link } from './link.ts';
import { Pace } from './pace.ts';
import { readPacked, type Packed, type PackedFile } from './packed.ts';
import { framesPayload, payloadOf, textFrames, type Payload } from './payload.ts';
import { Progress } from './progress.ts';
import type { RawBytes } from './request.ts';

/** The most files that one `upload.put` names: its line comes before their contents. */
const MAX_BATCH_FILES = 10_000;
/** How often an upload may begin without having got any further since the last time. */
const MAX_FUTILE = 3;

interface Around {
  readonly performing: Performing;
  readonly projectDir: string;
  readonly limits: Limits;
}

type Ask = (op: string, args: { readonly [name: string]: Json }, payload?: () => RawBytes) => Promise<Answer>;
type Failed = Extract<Answer, { ok: false }>;

const begunSchema = s.object({ path: s.nullable(s.string), missing: s.list(s.number), codecs: s.list(s.string) });
const stagedSchema = s.object({ path: s.string });

/** Sends what a device lacks of a packed tree, and has it staged as a release. An upload that was cut off resumes. */
export async function upload(link: Link, step: Extract<Step, { kind: 'upload' }>, around: Around): Promise<Answer> {
  const { performing, limits } = around;
  const cancel = performing.undoing ? null : performing.cancel;
  const failure = await link.prepare(cancel);
  if (failure !== null) return { ok: false, failure };
  const read = readPacked(around.projectDir, textOf(step.args.from));
  if (!read.ok) return read;
  // Prepared while the connection is made, where it is not there yet.
  const manifest = textFrames(Buffer.from(read.packed.text), 'zlib');
  const ask: Ask = (op, args, payload) => {
    const request = {
      op,
      args,
      output: performing.output,
      cancel,
      timeoutMs: step.timeoutMs ?? limits.operationMs,
    };
    return link.request(payload ? { ...request, payload } : request, performing.undoing ? 'undoing' : 'working');
  };
  const release = textOf(step.args.release);
  const lacked = new Set<PackedFile>();
  let [least, futile] = [Infinity, 0];
  let lost: Failed | null = null;
  for (;;) {
    const { answer, missing, mendable } = await attempt(read.packed, manifest, release, ask, performing, lacked);
    if (answer.ok) return answer;
    // Why the connection went says more than why there is no other.
    if (missing === null) return lost !== null && link.lost && !cancel?.cancelled ? lost : answer;
    futile = missing < least ? 1 : futile + 1;
    if (mendable !== true || futile === MAX_FUTILE) return answer;
    [least, lost] = [missing, answer];
  }
}

/** The session in which it was begun is gone: what arrived counts when it is begun anew. */
const isGone = ({ failure }: Failed): boolean =>
  failure.reason === 'connection-lost' || (failure.reason === 'device-refused' && failure.code === 'not-begun');

/** A file that the device was to take from another release is not what it should be, and is asked for now. */
const isDamaged = ({ failure }: Failed): boolean => failure.reason === 'checksum-mismatch';

/** How an attempt ended, how many bytes it found missing (`null`: it was not begun), and whether another one mends it. */
interface Attempted {
  readonly answer: Answer;
  readonly missing: number | null;
  readonly mendable?: boolean;
}

async function attempt(
  packed: Packed,
  manifest: Promise<readonly Buffer[]>,
  release: string,
  ask: Ask,
  performing: Performing,
  lacked: Set<PackedFile>,
): Promise<Attempted> {
  const begun = checked(
    'upload.begin',
    begunSchema,
    await ask('upload.begin', { release }, () => framesPayload(manifest)),
  );
  if (!begun.ok) return { answer: begun, missing: null };
  const { path, missing: indices, codecs } = begun.value;
  const files = indices.flatMap((index) => packed.byEntry.get(index) ?? []);
  const missing = bytesOf(files);
  for (const file of files) lacked.add(file);
  // What any beginning found missing was sent, in however many attempts.
  const sum = { sentFiles: lacked.size, sentBytes: bytesOf([...lacked]) };
  if (path !== null) return { answer: { ok: true, value: { path, ...sum } }, missing };
  const failed = await put(packed, files, codecs, ask, performing);
  if (failed !== null) return { answer: failed, missing, mendable: isGone(failed) };
  const staged = checked('upload.stage', stagedSchema, await ask('upload.stage', { release }));
  if (!staged.ok) return { answer: staged, missing, mendable: isGone(staged) || isDamaged(staged) };
  return { answer: { ok: true, value: { ...staged.value, ...sum } }, missing };
}

/** Sends files in batches, each a stream of its own; `null` when all arrived. */
async function put(
  packed: Packed,
  files: readonly PackedFile[],
  codecs: readonly string[],
  ask: Ask,
  performing: Performing,
): Promise<Failed | null> {
  const progress = new Progress(bytesOf(files), performing.progress);
  const [compression, pace, buffers] = [compressionOf(codecs), new Pace(), new Buffers()];
  let before = 0;
  for (let first = 0; first < files.length; first += MAX_BATCH_FILES) {
    const batch = files.slice(first, first + MAX_BATCH_FILES);
    const arrived = (bytes: number): void => progress.at(before + bytes);
    let payload: Payload | null = null;
    const answer = await ask(
      'upload.put',
      { blobs: batch.map((file) => [file.sha256, file.size]) },
      () => (payload = payloadOf(packed.tree, batch, { compression, pace, buffers, arrived })),
    );
    // What was wrong with the file says more than what then failed on the device.
    const failure = (payload as Payload | null)?.failure;
    if (failure) return { ok: false, failure };
    if (!answer.ok) return named(answer, batch);
    before += bytesOf(batch);
  }
  return null;
}

type Checked<T> = { readonly ok: true; readonly value: T } | Failed;

function checked<S extends Schema>(what: string, schema: S, answer: Answer): Checked<Infer<S>> {
  if (!answer.ok) return answer;
  const fitting = check(schema, answer.value);
  if (!fitting.fits) return { ok: false, failure: { reason: 'unexpected-value', what, ...fitting.mismatch } };
  return { ok: true, value: fitting.value as Infer<S> };
}

const bytesOf = (files: readonly PackedFile[]): number => files.reduce((sum, file) => sum + file.size, 0);

/** The device knows a blob by its digest alone; people know the file. */
function named(answer: Failed, batch: readonly PackedFile[]): Failed {
  const { failure } = answer;
  if (failure.reason !== 'checksum-mismatch') return answer;
  const file = batch.find((one) => one.sha256 === failure.expected);
  return file ? { ok: false, failure: { ...failure, path: file.path } } : answer;
}
