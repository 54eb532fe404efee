import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Buffers } from '../../lib/device/blocks.ts';
import { Pace } from '../../lib/device/pace.ts';
import { payloadOf } from '../../lib/device/payload.ts';
import { temporary } from './temporary.ts';

test('one stream after the other goes through the same buffers, however many there are', async () => {
  const folder = temporary('payload');
  onTestFinished(() => folder.remove());
  const tree = folder.path;
  writeFileSync(join(tree, 'file'), 'content');
  const file = { path: 'file', size: 7, sha256: createHash('sha256').update('content').digest('hex') };
  const [buffers, pace] = [new Buffers(), new Pace()];
  for (let stream = 0; stream < 40; stream++) {
    let bytes = 0;
    const payload = payloadOf(tree, [file], { compression: null, pace, buffers, arrived: () => undefined });
    for await (const chunk of payload.chunks) {
      bytes += chunk.length;
      payload.written?.(chunk);
    }
    expect([bytes > 7, payload.failure]).toEqual([true, null]);
  }
}, 10_000);
