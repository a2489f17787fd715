// Every form that `readPlainForm` reads is read alike by busboy; every other form is left to busboy.
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { parserOf, sentName } from '../../server/forms/form-parser.ts';
import { readPlainForm } from '../../server/forms/plain-form.ts';

const BOUNDARY = '----WebKitFormBoundary7MA4YWxkTrZu0gW';

/** The files that busboy finds, and its number of fields. */
async function readByBusboy(form: Buffer): Promise<{ files: { filename: string; bytes: Buffer }[]; fields: number }> {
  const { heads, parser } = parserOf(BOUNDARY);
  const files: Promise<{ filename: string; bytes: Buffer }>[] = [];
  let fields = 0;
  const { promise: over, resolve, reject } = Promise.withResolvers<void>();
  parser.on('file', (_field, stream, { filename }) => {
    files.push(buffer(stream).then((bytes) => ({ filename: sentName(filename), bytes })));
  });
  parser.on('field', () => {
    fields += 1;
  });
  parser.on('error', reject).on('close', resolve);
  Readable.from([form], { objectMode: false }).pipe(heads).pipe(parser);
  await over;
  return { files: await Promise.all(files), fields };
}

interface Parts {
  head?: string;
  content?: string | Buffer;
  before?: string;
  after?: string;
}

const PLAIN_HEAD = 'Content-Disposition: form-data; name="file"; filename="my picture (1).jpg"\r\nContent-Type: image/jpeg';

function formOf({ head = PLAIN_HEAD, content = 'content', before = '', after = '--\r\n' }: Parts): Buffer {
  const start = Buffer.from(`${before}--${BOUNDARY}\r\n${head}\r\n\r\n`);
  return Buffer.concat([start, Buffer.from(content), Buffer.from(`\r\n--${BOUNDARY}${after}`)]);
}

const allBytes = Buffer.from(Array.from({ length: 4096 }, (_, n) => (n * 7 + (n >> 8)) & 0xff));
const second = `\r\n${PLAIN_HEAD}\r\n\r\nsecond\r\n--${BOUNDARY}--\r\n`;

const read: [string, Parts][] = [
  ['of a browser', {}],
  ['without a line break at the end', { after: '--' }],
  ['with all bytes in it', { content: allBytes }],
  ['with line breaks around the content', { content: '\r\n\r\nx\r\n\r\n' }],
  ['with a line break at the end of the content', { content: 'x\r\n' }],
  ['with a half of the boundary in it', { content: `x\r\n--${BOUNDARY.slice(0, -1)}` }],
  ['with a path as its name', { head: PLAIN_HEAD.replace('my', '../a/my') }],
];

const left: [string, Parts][] = [
  ['that begins like a boundary', { content: `--${BOUNDARY}x` }],
  ['with two files', { after: second }],
  ['with a field before the file', { before: `--${BOUNDARY}\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n` }],
  ['with only a field', { head: 'Content-Disposition: form-data; name="a"' }],
  ['with a preamble', { before: 'preamble\r\n' }],
  ['with an epilogue', { after: '--\r\nepilogue' }],
  ['with an empty file', { content: '' }],
  ['with a boundary in the content', { content: `x\r\n--${BOUNDARY}--\r\ny` }],
  ['without a name', { head: PLAIN_HEAD.replace(/filename="[^"]*"/, 'filename=""') }],
  ['with an escape of a browser in the name', { head: PLAIN_HEAD.replace('my', '%22my') }],
  ['with an escape of curl in the name', { head: PLAIN_HEAD.replace('my', '\\"my') }],
  ['with a name that is not ASCII', { head: PLAIN_HEAD.replace('my', 'Zoë’s') }],
  ['with a control character in the name', { head: PLAIN_HEAD.replace('my', 'm\x01y') }],
  ['with a second name', { head: PLAIN_HEAD.replace('"\r\n', `"; filename*=utf-8''other.png\r\n`) }],
  ['with another header', { head: `${PLAIN_HEAD}\r\nX-Other: 1` }],
  ['without a type', { head: PLAIN_HEAD.replace(/\r\n.*/, '') }],
];

describe('a form', () => {
  it.for(read)('%s is read as busboy reads it', async ([, parts]) => {
    const form = formOf(parts);
    const plain = readPlainForm(form, BOUNDARY);
    expect(plain).toBeDefined();
    expect(await readByBusboy(form)).toEqual({ files: [plain], fields: 0 });
  });

  it.for(left)('%s is left to busboy', async ([, parts]) => {
    expect(readPlainForm(formOf(parts), BOUNDARY)).toBeUndefined();
  });

  it('that is cut anywhere is left to busboy', () => {
    const form = formOf({});
    // Only the line break at the end may be missing.
    for (let length = 0; length < form.length - 2; length++) expect(readPlainForm(form.subarray(0, length), BOUNDARY)).toBeUndefined();
  });
});
