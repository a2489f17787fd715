// What every final storage does.
import { createServer } from 'node:http';
import { expect, it } from 'vitest';
import type { UploadId } from '../../server/ledger/upload-id.ts';
import { StagedBytesGone, type Storage } from '../../server/storage/storage.ts';
import type { UploadError } from '../../shared/errors.ts';
import { gathered, videoBytes } from '../support/content.ts';
import { listenForTest } from '../support/listen.ts';
import { head, rawRequest } from '../support/raw-http.ts';
import { uploadId } from '../support/upload-ids.ts';

const ID = uploadId('a');
const OTHER = uploadId('b');
const DIRECTORY = `2020/01/02/${ID}`;
const TAG = `"${ID}"`;
const NAME = 'film “ä” 漢.mp4';

export interface StorageUnderTest {
  storage: Storage;
  /** Stages an upload's bytes durably. */
  stage(id: UploadId, bytes: Uint8Array): Promise<void>;
  unstage(id: UploadId): Promise<void>;
  /** All final files, as `<directory>/<name>`, sorted; unfinished ones included. */
  everything(): Promise<string[]>;
}

/** @param open makes an empty storage that goes when the running test ends */
export function testStorage(open: () => Promise<StorageUnderTest>): void {
  async function withPublished(bytes: Uint8Array) {
    const opened = await open();
    await opened.stage(ID, bytes);
    const directory = await opened.storage.publish({ id: ID, directory: DIRECTORY, name: NAME, type: 'video/mp4', attempt: 1 });
    expect(directory === DIRECTORY || directory.startsWith(`${DIRECTORY}/`)).toBe(true);
    return { ...opened, directory };
  }

  async function contentOf(storage: Storage, directory: string, name = NAME): Promise<Buffer> {
    return gathered(storage.read(directory, name));
  }

  it('publishes the staged bytes under the target, and nothing beside them', async () => {
    const bytes = await videoBytes(2_500_000);
    const { storage, everything, directory } = await withPublished(bytes);
    expect(await everything()).toEqual([`${directory}/${NAME}`]);
    expect(await storage.size(directory, NAME)).toBe(bytes.length);
    expect((await contentOf(storage, directory)).equals(bytes)).toBe(true);
  });

  it('publishes again without harm, under a later attempt and with the bytes still staged', async () => {
    const bytes = await videoBytes(100_000);
    const { storage, everything, directory: first } = await withPublished(bytes);
    const directory = await storage.publish({ id: ID, directory: DIRECTORY, name: NAME, type: 'video/mp4', attempt: 2 });
    expect((await contentOf(storage, first)).equals(bytes)).toBe(true);
    await storage.keepOnly(directory);
    expect(await everything()).toEqual([`${directory}/${NAME}`]);
    expect((await contentOf(storage, directory)).equals(bytes)).toBe(true);
  });

  it('keeps another upload’s file when this upload publishes beside it', async () => {
    const { storage, stage, everything, directory } = await withPublished(await videoBytes(1000));
    await stage(OTHER, await videoBytes(1000, 2));
    const target = { id: OTHER, directory: `2020/01/02/${OTHER}`, name: NAME, type: 'video/mp4', attempt: 1 };
    const other = await storage.publish(target);
    await storage.keepOnly(DIRECTORY);
    expect(await everything()).toEqual([`${directory}/${NAME}`, `${other}/${NAME}`].sort());
  });

  it('retracts the file of an attempt that lost, and not the winner’s', async () => {
    const bytes = await videoBytes(1000);
    const { storage, everything, directory } = await withPublished(bytes);
    await storage.publish({ id: ID, directory: DIRECTORY, name: NAME, type: 'video/mp4', attempt: 2 });
    await storage.retract({ directory: DIRECTORY, attempt: 2 });
    expect(await everything()).toEqual([`${directory}/${NAME}`]);
    await storage.clearUnfinished(
      async () => false,
      () => false,
    );
    expect((await contentOf(storage, directory)).equals(bytes)).toBe(true);
  });

  it('keeps a published file when its staged bytes are removed', async () => {
    const bytes = await videoBytes(100_000);
    const { storage, unstage, directory } = await withPublished(bytes);
    await unstage(ID);
    expect((await contentOf(storage, directory)).equals(bytes)).toBe(true);
  });

  it('throws when there is nothing to publish, and leaves nothing', async () => {
    const { storage, everything } = await open();
    await expect(storage.publish({ id: ID, directory: DIRECTORY, name: NAME, type: 'video/mp4', attempt: 1 })).rejects.toBeInstanceOf(
      StagedBytesGone,
    );
    expect(await everything()).toEqual([]);
    expect(await storage.size(DIRECTORY, NAME)).toBeUndefined();
  });

  it('publishes nothing once the lease is lost', async () => {
    const { storage, stage, everything } = await open();
    await stage(ID, await videoBytes(100_000));
    const target = { id: ID, directory: DIRECTORY, name: NAME, type: 'video/mp4', attempt: 1 };
    await expect(storage.publish(target, AbortSignal.abort('lost'))).rejects.toBe('lost');
    expect(await everything()).toEqual([]);
  });

  it('keeps two uploads of one name apart', async () => {
    const [first, second] = [await videoBytes(1000, 1), await videoBytes(1000, 2)];
    const { storage, stage, directory } = await withPublished(first);
    await stage(OTHER, second);
    const other = await storage.publish({ id: OTHER, directory: `2020/01/02/${OTHER}`, name: NAME, type: 'video/mp4', attempt: 1 });
    expect((await contentOf(storage, directory)).equals(first)).toBe(true);
    expect((await contentOf(storage, other)).equals(second)).toBe(true);
  });

  it('reads ranges', async () => {
    const bytes = await videoBytes(10_000);
    const { storage, directory } = await withPublished(bytes);
    const part = await gathered(storage.read(directory, NAME, { start: 100, end: 200 }));
    expect(part.equals(bytes.subarray(100, 200))).toBe(true);
    await expect(contentOf(storage, directory, 'another.mp4')).rejects.toThrow();
  });

  it('answers GET with the file, HEAD without it, and a Range with the part', async () => {
    const bytes = await videoBytes(10_000);
    const { storage, directory } = await withPublished(bytes);
    const server = createServer((request, response) => void storage.deliver(request, response, directory, NAME));
    const url = `${await listenForTest(server)}/`;
    expect(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(bytes)).toBe(true);
    const head = await fetch(url, { method: 'HEAD' });
    expect([head.status, head.headers.get('Content-Length')]).toEqual([200, '10000']);
    const part = await fetch(url, { headers: { Range: 'bytes=-10' } });
    expect(part.status).toBe(206);
    expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(-10))).toBe(true);
  });

  it('answers conditions and ranges of a download as RFC 9110 says', async () => {
    const { storage, directory } = await withPublished(Buffer.from('0123456789'));
    const server = createServer((request, response) => {
      response.setHeader('ETag', TAG);
      storage.deliver(request, response, directory, NAME).catch((error: UploadError) => {
        response.writeHead(error.status, { 'Content-Length': error.code.length }).end(error.code);
      });
    });
    const url = `${await listenForTest(server)}/`;
    // `fetch` would add a Cache-Control that asks for the file in any case.
    const ask = async (method: string, headers: readonly string[]) => {
      const request = head(`${method} / HTTP/1.1`, 'Host: x', 'Connection: close', ...headers);
      const { status, body, headers: answered } = await rawRequest(url, [request], 60_000);
      return { status, body, range: answered.get('content-range'), headers: answered };
    };
    const lastModified = (await ask('HEAD', [])).headers.get('last-modified') ?? '';
    const failed = { status: 412, body: 'ERR_PRECONDITION_FAILED' };
    const whole = { status: 200, body: '0123456789', range: undefined };
    const rest = { status: 206, body: '56789', range: 'bytes 5-9/10' };
    const none = { status: 416, body: 'ERR_RANGE_NOT_SATISFIABLE', range: 'bytes */10' };
    const cases: [string[], object][] = [
      [[], whole],
      [[`If-None-Match: ${TAG}`], { status: 304, body: '' }],
      [[`If-None-Match: "other", W/${TAG}`], { status: 304, body: '' }],
      [['If-None-Match: *'], { status: 304, body: '' }],
      [['If-None-Match: "other"'], whole],
      [[`If-Modified-Since: ${lastModified}`], { status: 304, body: '' }],
      [['If-Modified-Since: Mon, 01 Jan 2001 00:00:00 GMT'], whole],
      [[`If-Match: "other", ${TAG}`], whole],
      [['If-Match: *'], whole],
      [[`If-Match: W/${TAG}`], failed],
      [[`If-Match: W/${TAG}, "other"`], failed],
      [['If-Match: "other"'], failed],
      [['If-Match: "other"', `If-None-Match: ${TAG}`], failed],
      [[`If-Unmodified-Since: ${lastModified}`], whole],
      [['If-Unmodified-Since: Mon, 01 Jan 2001 00:00:00 GMT'], failed],
      [['Range: bytes=5-'], rest],
      [['Range: bytes=0-0'], { status: 206, body: '0', range: 'bytes 0-0/10' }],
      [['Range: bytes=-3'], { status: 206, body: '789', range: 'bytes 7-9/10' }],
      [['Range: bytes=-30'], { status: 206, body: '0123456789', range: 'bytes 0-9/10' }],
      [['Range: bytes=8-100'], { status: 206, body: '89', range: 'bytes 8-9/10' }],
      [['Range: bytes=0-1,5-6'], whole],
      [['Range: bytes=-30,0-0'], { status: 206, body: '0123456789', range: 'bytes 0-9/10' }],
      [['Range: bytes=0-0, -30'], { status: 206, body: '0123456789', range: 'bytes 0-9/10' }],
      [['Range: bytes=20-30,-2'], { status: 206, body: '89', range: 'bytes 8-9/10' }],
      [['Range: BYTES=5-'], rest],
      [['Range: bytes=0-4,2-6'], { status: 206, body: '0123456', range: 'bytes 0-6/10' }],
      [['Range: bytes=10-'], none],
      [['Range: bytes=-0'], none],
      [['Range: bytes=x-y'], whole],
      [['Range: lines=1-2'], whole],
      [['Range: bytes=5-', `If-Range: ${TAG}`], rest],
      [['Range: bytes=5-', 'If-Range: "other"'], whole],
      [['Range: bytes=5-', `If-Range: ${lastModified}`], rest],
      [['Range: bytes=5-', 'If-Range: Mon, 01 Jan 2001 00:00:00 GMT'], whole],
      [['Range: bytes=5-', 'If-Range: Fri, 01 Jan 2100 00:00:00 GMT'], whole],
      [['Range: bytes=5-', `If-Range: W/${TAG}`], whole],
      [['Range: bytes=5-', `If-Range: "other", ${TAG}`], whole],
      [['Range: bytes=20-', 'If-Range: "other"'], whole],
      [['Range: bytes=5-', `If-None-Match: ${TAG}`], { status: 304, body: '' }],
    ];
    for (const [headers, answer] of cases) expect(await ask('GET', headers), `GET ${headers}`).toMatchObject(answer);
    // A range is for GET alone.
    const heads: [string[], number][] = [
      [[], 200],
      [['Range: bytes=5-'], 200],
      [['Range: bytes=10-'], 200],
      [[`If-None-Match: ${TAG}`], 304],
      [['If-Match: "other"'], 412],
      [[`If-Match: W/${TAG}`], 412],
    ];
    for (const [headers, status] of heads) {
      const answer = await ask('HEAD', headers);
      expect([answer.status, answer.body], `HEAD ${headers}`).toEqual([status, '']);
      if (status === 200) expect([answer.headers.get('content-length'), answer.headers.get('accept-ranges')]).toEqual(['10', 'bytes']);
    }
  });

  it('removes everything of one upload, and nothing of another; idempotent', async () => {
    const { storage, stage, everything } = await withPublished(await videoBytes(1000));
    await stage(OTHER, await videoBytes(1000));
    const other = await storage.publish({ id: OTHER, directory: `2020/01/02/${OTHER}`, name: 'b.mp4', type: 'video/mp4', attempt: 1 });
    await storage.remove(DIRECTORY);
    await storage.remove(DIRECTORY);
    expect(await everything()).toEqual([`${other}/b.mp4`]);
  });
}
