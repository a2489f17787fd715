import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { cleanPartHeads } from '../../server/forms/part-heads.ts';

const BOUNDARY = 'the-boundary';
/** Content that a careless parser takes for a head or a delimiter. */
const CONTENT = '\x00\x01\x1b\x7f\r\n\r\n--the-boundary\x01\r\n--the-boundar\r\n--\r\n--the-boundary\r\x02\r\r\n-';

function form(name: string): Buffer {
  const part = (content: string) =>
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="f"; filename="${name}"\r\nContent-Type: text/plain\r\n\r\n${content}\r\n`;
  return Buffer.from(`${part(CONTENT)}${part('')}${part('\x01')}--${BOUNDARY}--\r\n\x01`, 'latin1');
}

async function cleaned(bytes: Buffer, sizes: (at: number) => number): Promise<string> {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = sizes(at);
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return (await buffer(Readable.from(pieces).pipe(cleanPartHeads(BOUNDARY)))).toString('latin1');
}

test('removes control characters from heads, and leaves files unchanged, wherever the form is cut into pieces', async () => {
  const expected = `\r\n${form('\tno\xc3\xa9tes.txt').toString('latin1')}`;
  const bytes = form('\x01\tn\x1bo\xc3\xa9\x7ftes.txt\x0b');
  for (let size = 1; size < 64; size++) expect(await cleaned(bytes, () => size), `wrong heads in pieces of ${size}`).toBe(expected);
  for (let cut = 1; cut < bytes.length; cut++)
    expect(await cleaned(bytes, (at) => (at === 0 ? cut : bytes.length)), `wrong heads when cut at ${cut}`).toBe(expected);
});

test('holds back no line of a head beyond the longest possible head', async () => {
  const head = Buffer.from(`--${BOUNDARY}\r\nX: ${'x'.repeat(100_000)}`);
  const stream = cleanPartHeads(BOUNDARY);
  stream.write(head);
  await new Promise(setImmediate);
  expect(stream.readableLength).toBeGreaterThan(80_000);
});
