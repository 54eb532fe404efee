import { textOf, type Json } from '../model/json.ts';
import type { Performing } from '../model/ports.ts';
import { check, s, type Infer } from '../model/schema.ts';
import type { Step } from '../model/step.ts';
import type { Answer } from './answer.ts';
import type { Limits } from './limits.ts';
import type { Link } from './link.ts';
import { readPacked, type Packed, type PackedFile } from './packed.ts';
import { payloadOf, type Payload } from './payload.ts';

/**
 * The most that one `upload.put` brings: a cancel is heard between two of them, because no message can be sent in the
 * middle of raw bytes. A larger file goes alone.
 */
const MAX_BATCH_BYTES = 16 * 1024 * 1024;
const MAX_BATCH_FILES = 1000;

interface Around {
  readonly performing: Performing;
  readonly projectDir: string;
  readonly limits: Limits;
}

const missingSchema = s.object({ missing: s.list(s.string) });
const stagedSchema = s.object({ path: s.string });

/** Sends what a device lacks of a packed tree, and has it staged as a release. An upload that was cut off resumes. */
export async function upload(link: Link, step: Extract<Step, { kind: 'upload' }>, around: Around): Promise<Answer> {
  const { performing, limits } = around;
  const read = readPacked(around.projectDir, textOf(step.args.from));
  if (!read.ok) return read;
  const { packed } = read;
  const ask = (op: string, args: { readonly [name: string]: Json }, payload?: () => Payload): Promise<Answer> => {
    const request = {
      op,
      args,
      output: performing.output,
      cancel: performing.undoing ? null : performing.cancel,
      timeoutMs: step.timeoutMs ?? limits.operationMs,
    };
    return link.request(payload ? { ...request, payload } : request, performing.undoing ? 'undoing' : 'working');
  };
  const lacking = await missingFiles(packed, ask);
  if (!lacking.ok) return lacking;
  for (const batch of batchesOf(lacking.files)) {
    let payload = payloadOf(packed.tree, []);
    const again = (): Payload => (payload = payloadOf(packed.tree, batch));
    const put = await ask('upload.put', { blobs: batch.map(blob) }, again);
    // What was wrong with the file says more than the digest that then failed on the device.
    if (payload.failure !== null) return { ok: false, failure: payload.failure };
    if (!put.ok) return named(put, batch);
  }
  const staged = await ask('upload.stage', { release: step.args.release, manifest: packed.manifest });
  if (!staged.ok) return staged;
  const checked = check(stagedSchema, staged.value);
  if (!checked.fits)
    return { ok: false, failure: { reason: 'unexpected-value', what: 'upload.stage', ...checked.mismatch } };
  const { path } = checked.value as Infer<typeof stagedSchema>;
  return {
    ok: true,
    value: {
      path,
      sentFiles: lacking.files.length,
      sentBytes: lacking.files.reduce((sum, file) => sum + file.size, 0),
    },
  };
}

const blob = (file: PackedFile): Json => [file.sha256, file.size];

type Lacking = { readonly ok: true; readonly files: readonly PackedFile[] } | Extract<Answer, { ok: false }>;

/** The files that the device cannot put together from what it has: each content once, in the order of the manifest. */
async function missingFiles(
  packed: Packed,
  ask: (op: string, args: { readonly [name: string]: Json }) => Promise<Answer>,
): Promise<Lacking> {
  const byDigest = new Map(packed.files.toReversed().map((file) => [file.sha256, file]));
  const answer = await ask('upload.missing', { blobs: [...byDigest.values()].map(blob) });
  if (!answer.ok) return answer;
  const checked = check(missingSchema, answer.value);
  if (!checked.fits)
    return { ok: false, failure: { reason: 'unexpected-value', what: 'upload.missing', ...checked.mismatch } };
  const missing = new Set((checked.value as Infer<typeof missingSchema>).missing);
  return {
    ok: true,
    files: packed.files.filter((file) => missing.has(file.sha256) && byDigest.get(file.sha256) === file),
  };
}

function* batchesOf(files: readonly PackedFile[]): Generator<readonly PackedFile[]> {
  let batch: PackedFile[] = [];
  let bytes = 0;
  for (const file of files) {
    if (batch.length > 0 && (batch.length >= MAX_BATCH_FILES || bytes + file.size > MAX_BATCH_BYTES)) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
    batch.push(file);
    bytes += file.size;
  }
  if (batch.length > 0) yield batch;
}

/** The device knows a blob by its digest alone; people know the file. */
function named(answer: Extract<Answer, { ok: false }>, batch: readonly PackedFile[]): Answer {
  const { failure } = answer;
  if (failure.reason !== 'checksum-mismatch') return answer;
  const file = batch.find((one) => one.sha256 === failure.expected);
  return file ? { ok: false, failure: { ...failure, path: file.path } } : answer;
}
