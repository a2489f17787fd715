// What every final storage does.

import { createServer } from 'node:http';
import { expect, it } from 'vitest';
import type { UploadId } from '../../server/ledger/upload-id.ts';
import { StagedBytesGone, type Storage } from '../../server/storage/storage.ts';
import { gathered, videoBytes } from '../support/content.ts';
import { listenForTest } from '../support/listen.ts';
import { uploadId } from '../support/upload-ids.ts';

const ID = uploadId('a');
const OTHER = uploadId('b');
const DIRECTORY = `2020/01/02/${ID}`;
const NAME = 'film “ä” 漢.mp4';

export interface StorageUnderTest {
  storage: Storage;
  /** Puts an upload's bytes into staging, durable. */
  stage(id: UploadId, bytes: Uint8Array): Promise<void>;
  unstage(id: UploadId): Promise<void>;
  /** Every final file there is, as `<directory>/<name>`, sorted; unfinished ones too. */
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

  it('keeps what is another upload’s, also where that of this one lies beside it', async () => {
    const { storage, stage, everything, directory } = await withPublished(await videoBytes(1000));
    await stage(OTHER, await videoBytes(1000, 2));
    const target = { id: OTHER, directory: `2020/01/02/${OTHER}`, name: NAME, type: 'video/mp4', attempt: 1 };
    const other = await storage.publish(target);
    await storage.keepOnly(DIRECTORY);
    expect(await everything()).toEqual([`${directory}/${NAME}`, `${other}/${NAME}`].sort());
  });

  it('takes back what an attempt published that lost, and not what the winner did', async () => {
    const bytes = await videoBytes(1000);
    const { storage, everything, directory } = await withPublished(bytes);
    await storage.publish({ id: ID, directory: DIRECTORY, name: NAME, type: 'video/mp4', attempt: 2 });
    await storage.retract({ directory: DIRECTORY, attempt: 2 });
    expect(await everything()).toEqual([`${directory}/${NAME}`]);
    await storage.clearUnfinished(async () => false);
    expect((await contentOf(storage, directory)).equals(bytes)).toBe(true);
  });

  it('keeps a published file when its staged bytes go', async () => {
    const bytes = await videoBytes(100_000);
    const { storage, unstage, directory } = await withPublished(bytes);
    await unstage(ID);
    expect((await contentOf(storage, directory)).equals(bytes)).toBe(true);
  });

  it('says so when there is nothing to publish, and leaves nothing', async () => {
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

  it('removes all of an upload, and nothing of another, also twice', async () => {
    const { storage, stage, everything } = await withPublished(await videoBytes(1000));
    await stage(OTHER, await videoBytes(1000));
    const other = await storage.publish({ id: OTHER, directory: `2020/01/02/${OTHER}`, name: 'b.mp4', type: 'video/mp4', attempt: 1 });
    await storage.remove(DIRECTORY);
    await storage.remove(DIRECTORY);
    expect(await everything()).toEqual([`${other}/b.mp4`]);
  });
}
