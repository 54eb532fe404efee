import { cachedDataVersionTag } from 'node:v8';
import { expect, test } from 'vitest';
import { keepHeapTight, optimizeLater, restoreV8Flags } from '../../lib/host/v8-flags.ts';

test('a run leaves the flags of V8 as they were: kept code is for those', () => {
  const before = cachedDataVersionTag();
  for (const change of [keepHeapTight, optimizeLater]) {
    change();
    change();
    expect(cachedDataVersionTag()).not.toBe(before);
    restoreV8Flags();
    expect(cachedDataVersionTag()).toBe(before);
  }
});
