/** The longest message that is taken, in bytes: 1 MiB of output, every byte of it escaped, fits. */
const MAX_LINE_BYTES = 8 * 1024 * 1024;

/**
 * Cuts a stream of bytes into lines, whatever pieces it comes in. Hands a line on only when it is whole, so that a
 * character is never cut in two; `false` when a line is longer than any message can be.
 */
export function lineReader(onLine: (line: string) => void): (bytes: Buffer) => boolean {
  let parts: Buffer[] = [];
  let size = 0;
  return (bytes) => {
    let from = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
      const line = Buffer.concat([...parts, bytes.subarray(from, end)]).toString('utf8');
      [parts, size, from] = [[], 0, end + 1];
      onLine(line);
    }
    if (from < bytes.length) {
      parts.push(bytes.subarray(from));
      size += bytes.length - from;
    }
    return size <= MAX_LINE_BYTES;
  };
}
