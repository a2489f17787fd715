// The server makes harmful file names harmless: on disk, in the record, and in the header of the download.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sendForm } from '../server/form-requests.ts';
import { filesBelow } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { head, rawRequest } from '../support/raw-http.ts';
import { createUpload, readRecord } from '../support/tus-requests.ts';

const TEXT = Buffer.from('Just a text.\n');

const NAMES: { what: string; name: string; extension?: string }[] = [
  { what: 'climbs up', name: '../../../etc/notes.txt' },
  { what: 'has a drive', name: 'C:\\Users\\me\\notes.txt' },
  { what: 'is on a share', name: '\\\\host\\share\\notes.txt' },
  { what: 'has an escape sequence', name: 'no\x1b[31mtes.txt' },
  { what: 'turns the reading direction', name: 'no\u202etxt.tes.txt' },
  { what: 'has invisible signs', name: 'no\u200bt\u200de\ufeffs.txt' },
  { what: 'has tag characters', name: 'notes\u{e0041}\u{e0042}.txt' },
  { what: 'has line separators', name: 'no\u2028te\u2029s.txt' },
  { what: 'has C1 controls', name: 'no\u0085te\u009bs.txt' },
  { what: 'is a device', name: 'CON.txt' },
  { what: 'is a device with a superscript', name: 'COM¹.txt' },
  { what: 'is a console', name: 'CONIN$.txt' },
  { what: 'ends in dots and spaces', name: 'notes.txt. . .' },
  { what: 'names a stream', name: 'notes.txt:stream.txt' },
  { what: 'starts as an option', name: '-rf.txt' },
  { what: 'is hidden', name: '.notes.txt' },
  { what: 'starts with a tilde', name: '~root.txt' },
  { what: 'is 300 letters long', name: `${'n'.repeat(300)}.txt` },
  { what: 'is 120 CJK signs long', name: `${'漢'.repeat(120)}.txt` },
  { what: 'is 100 emoji long', name: `${'👨‍👩‍👧'.repeat(100)}.txt` },
  { what: 'is a command', name: '$(id)`id`;id|id&&id.txt' },
  { what: 'is markup', name: '<img src=x onerror=alert(1)>.txt' },
  { what: 'is a formula', name: '=cmd|x.txt' },
  { what: 'has quotes and a comma', name: `a"b'c,d;e.txt` },
  { what: 'has a percent escape', name: 'a%2f..%2fb.txt' },
  { what: 'is Japanese', name: 'ファイル名.txt' },
  { what: 'is Arabic', name: 'ملف.txt' },
  { what: 'is in composed letters', name: 'Größe é.txt' },
  { what: 'is in taken-apart letters', name: 'Größe é.txt'.normalize('NFD') },
];

/** The name in `filename*` (RFC 5987), or else the one in `filename`. */
function nameOfDownload(disposition: string): string {
  const extended = /filename\*=UTF-8''([^;]+)/i.exec(disposition)?.[1];
  if (extended !== undefined) return decodeURIComponent(extended);
  return (/filename="((?:[^"\\]|\\.)*)"/.exec(disposition)?.[1] ?? /filename=([^;]+)/.exec(disposition)?.[1] ?? '').replace(/\\(.)/g, '$1');
}

describe('a file name', () => {
  it.for(NAMES)('that $what is stored and served as a harmless one', async ({ name }) => {
    const server = await embedLandfall();
    const answer = await createUpload(server.files, { length: TEXT.length, name, body: TEXT });
    expect(answer.status, answer.text).toBe(201);
    const record = await readRecord(answer.url);
    const safe = record.name ?? '';
    expect(record.state).toBe('accepted');
    expect(safe).toMatch(/\.txt$/);
    expect(safe).toBe(safe.normalize('NFC'));
    expect(Buffer.byteLength(safe)).toBeLessThanOrEqual(255);
    // Joiners stay only within an emoji, which needs them.
    const plain = safe.replaceAll(/(?<=\p{Extended_Pictographic})\u200d(?=\p{Extended_Pictographic})/gu, '');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the test checks that there are none
    expect(plain).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff/\\:*?"<>|]|^[-.~ ]|[. ]$/);
    expect(safe).not.toMatch(/^(?:con|prn|aux|nul|conin\$|conout\$|com[\d¹²³]|lpt[\d¹²³])(?:\.|$)/i);
    expect(safe.isWellFormed()).toBe(true);
    const [file = '', ...others] = await filesBelow(join(server.dataDir, 'files'));
    expect(others).toEqual([]);
    expect(file.split('/').slice(4)).toEqual([safe]);
    const download = await fetch(answer.url);
    expect(download.status).toBe(200);
    const disposition = download.headers.get('Content-Disposition') ?? '';
    expect(disposition).toMatch(/^attachment;/);
    expect(nameOfDownload(disposition)).toBe(safe);
    // Some programs, also on Windows, read only the plain name.
    expect(/filename="([^"]*)"/.exec(disposition)?.[1] ?? '').not.toMatch(/[?*<>|:/\\]/);
    expect(await download.text()).toBe(TEXT.toString());
  });

  it.for([
    ...NAMES.map(({ name }) => name),
    'every\x01con\x08trol\x0b\x0c\x0e\x1f\x7f.txt',
    'tab\t.txt',
    'a/b/',
    'می\u200cخواهم.txt',
    'line\nbreak.txt',
    'back\\\\slash.txt',
  ])('is the same when sent by a form and by tus: %j', async (name) => {
    const server = await embedLandfall();
    const form = await sendForm(`${server.url}/upload`, [{ name, content: TEXT }]);
    const byForm = (await form.json()).record?.name;
    // tus metadata can have no line break: only a form can send one.
    const { url } = await createUpload(server.files, { length: TEXT.length, name: name.replace('\n', ''), body: TEXT });
    expect(byForm).toBe((await readRecord(url)).name);
  });

  it('is the same in composed and decomposed Unicode', async () => {
    const server = await embedLandfall();
    const names = await Promise.all(
      (['NFC', 'NFD'] as const).map(async (form) => {
        const { url } = await createUpload(server.files, { length: TEXT.length, name: 'Größe.txt'.normalize(form), body: TEXT });
        return (await readRecord(url)).name;
      }),
    );
    expect(names).toEqual(['Größe.txt', 'Größe.txt']);
  });

  it('shared by two uploads stays the name of both, and no file is overwritten', async () => {
    const server = await embedLandfall();
    const contents = ['one', 'two', 'three', 'four'].map((text) => Buffer.from(text));
    const uploads = await Promise.all(
      contents.map((content) => createUpload(server.files, { length: content.length, name: 'same.txt', body: content })),
    );
    const served = await Promise.all(uploads.map(async ({ url }) => (await fetch(url)).text()));
    expect(served).toEqual(['one', 'two', 'three', 'four']);
  });

  it('cannot add a header to the download', async () => {
    const server = await embedLandfall();
    const { url } = await createUpload(server.files, { length: TEXT.length, name: 'a\u010d\u010aSet-Cookie: x=1.txt', body: TEXT });
    const answer = await rawRequest(
      server.url,
      [head(`GET ${new URL(url).pathname} HTTP/1.1`, 'Host: localhost', 'Connection: close')],
      300,
    );
    expect(answer.status).toBe(200);
    expect(answer.headers.has('set-cookie')).toBe(false);
  });
});

describe('a download', () => {
  it('can not run: it is an attachment with its own type, without sniffing and scripts', async () => {
    const server = await embedLandfall({ allow: 'text,.svg=image/svg+xml' });
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>');
    const { url, status } = await createUpload(server.files, { length: svg.length, name: 'drawing.svg', body: svg });
    expect(status).toBe(201);
    const { headers } = await fetch(url);
    expect(headers.get('Content-Disposition')).toMatch(/^attachment;/);
    expect(headers.get('X-Content-Type-Options')).toBe('nosniff');
    expect(headers.get('Content-Security-Policy')).toContain('sandbox');
  });

  it('serves ranges, and answers 304 for its own ETag', async () => {
    const server = await embedLandfall();
    const { url } = await createUpload(server.files, { length: TEXT.length, name: 'a.txt', body: TEXT });
    const part = await fetch(url, { headers: { Range: 'bytes=5-5' } });
    expect(part.status).toBe(206);
    expect(part.headers.get('Content-Range')).toBe(`bytes 5-5/${TEXT.length}`);
    expect(await part.text()).toBe(TEXT.toString()[5]);
    expect((await fetch(url, { headers: { Range: 'bytes=999-' } })).status).toBe(416);
    const etag = (await fetch(url)).headers.get('ETag') ?? 'none';
    // `fetch` would add `Cache-Control: no-cache`, which requests the whole file.
    const again = await rawRequest(
      server.url,
      [head(`GET ${new URL(url).pathname} HTTP/1.1`, 'Host: localhost', 'Connection: close', `If-None-Match: ${etag}`)],
      300,
    );
    expect([again.status, again.body]).toEqual([304, '']);
  });

  it('does not exist before acceptance, nor after a refusal', async () => {
    const server = await embedLandfall();
    const { url } = await createUpload(server.files, { length: TEXT.length, name: 'a.txt', body: TEXT.subarray(0, 5) });
    expect((await fetch(url)).status).toBe(404);
    const refused = await createUpload(server.files, { length: TEXT.length, name: 'a.png', headers: { 'Idempotency-Key': 'k' } });
    await fetch(refused.url, {
      method: 'PATCH',
      headers: { 'Tus-Resumable': '1.0.0', 'Upload-Offset': '0', 'Content-Type': 'application/offset+octet-stream' },
      body: TEXT,
    });
    expect((await readRecord(refused.url)).state).toBe('rejected');
    expect((await fetch(refused.url)).status).toBe(404);
  });
});
