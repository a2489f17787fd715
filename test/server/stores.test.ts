// Staging in @tus/file-store, by setting and by hook; and files that a store returns changed.
import { open, readdir, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { FileStore } from '@tus/file-store';
import { DataStore, Upload } from '@tus/utils';
import { describe, expect, it } from 'vitest';
import { testStoreServer } from '../contract/store-server.ts';
import { filesBelow, videoBytes } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, idOf, patchUpload, readRecord } from '../support/tus-requests.ts';

const LENGTH = 300_000;

describe('with @tus/file-store by setting', () => {
  testStoreServer(async () => {
    const fileStoreDir = testDirectory();
    return { config: { staging: 'file-store', fileStoreDir }, everything: () => readdir(fileStoreDir) };
  });
});

describe('with @tus/file-store of the application', () => {
  testStoreServer(async () => {
    const directory = testDirectory();
    return { hooks: { dataStore: new FileStore({ directory }) }, everything: () => readdir(directory) };
  });
});

/** A store as anybody might write it: the interface, and `read`. */
class MemoryStore extends DataStore {
  readonly contents = new Map<string, Buffer>();

  override async create(upload: Upload): Promise<Upload> {
    this.contents.set(upload.id, Buffer.alloc(0));
    return upload;
  }

  override async write(stream: Readable, id: string, offset: number): Promise<number> {
    const pieces = [this.of(id).subarray(0, offset)];
    for await (const piece of stream) pieces.push(piece);
    this.contents.set(id, Buffer.concat(pieces));
    return this.of(id).byteLength;
  }

  override async getUpload(id: string): Promise<Upload> {
    return new Upload({ id, offset: this.of(id).byteLength });
  }

  override async remove(id: string): Promise<void> {
    this.contents.delete(id);
  }

  read(id: string): Readable {
    return Readable.from([this.of(id)], { objectMode: false });
  }

  protected of(id: string): Buffer {
    const bytes = this.contents.get(id);
    // Stores of @tus/* report it like this.
    if (bytes === undefined) throw { status_code: 404, body: 'The file for this url was not found\n' };
    return bytes;
  }
}

describe('with an unknown store', () => {
  testStoreServer(async () => {
    const dataStore = new MemoryStore();
    return { hooks: { dataStore }, everything: async () => [...dataStore.contents.keys()] };
  });
});

describe('a file that @tus/file-store returns changed', () => {
  async function begin() {
    const fileStoreDir = testDirectory();
    const server = await embedLandfall({ staging: 'file-store', fileStoreDir });
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    await patchUpload(url, 0, bytes.subarray(0, 200_000));
    return { ...server, bytes, url, path: join(fileStoreDir, idOf(url)) };
  }

  async function expectDamaged({ url, dataDir }: { url: string; dataDir: string }) {
    expect(await readRecord(url)).toMatchObject({ state: 'rejected', error: { code: 'ERR_FILE_DAMAGED' } });
    expect((await headUpload(url)).offset).toBe(LENGTH - 1);
    expect(await filesBelow(join(dataDir, 'files'))).toEqual([]);
  }

  it('is refused when a byte was changed', async () => {
    const { url, path, bytes, dataDir } = await begin();
    const file = await open(path, 'r+');
    await file.write(Buffer.from([(bytes[150_000] ?? 0) ^ 1]), 0, 1, 150_000);
    await file.close();
    expect(await patchUpload(url, 200_000, bytes.subarray(200_000))).toMatchObject({ status: 422, code: 'ERR_FILE_DAMAGED' });
    await expectDamaged({ url, dataDir });
  });

  it.for([
    ['cut off', (path: string) => truncate(path, 199_999)],
    ['gone', (path: string) => rm(path)],
  ] as const)('is refused once it is %s, before more of it is sent', async ([, damage]) => {
    const { url, path, bytes, dataDir } = await begin();
    await damage(path);
    expect(await patchUpload(url, 200_000, bytes.subarray(200_000, 250_000))).toMatchObject({ status: 422, code: 'ERR_FILE_DAMAGED' });
    await expectDamaged({ url, dataDir });
  });

  it('is accepted when it only has more bytes than were counted', async () => {
    const { url, path, bytes } = await begin();
    const file = await open(path, 'a');
    await file.write(Buffer.alloc(50_000, 'stale'));
    await file.close();
    expect((await headUpload(url)).offset).toBe(200_000);
    expect((await patchUpload(url, 200_000, bytes.subarray(200_000))).status).toBe(204);
    expect(await readRecord(url)).toMatchObject({ state: 'accepted' });
  });
});

describe('a store that lies', () => {
  async function send(dataStore: DataStore) {
    const server = await embedLandfall({ patience: 1000 }, { dataStore });
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    const first = await patchUpload(url, 0, bytes.subarray(0, 100_000));
    const second = await patchUpload(url, 100_000, bytes.subarray(100_000));
    return { ...server, url, first, second };
  }

  it('about written bytes and loses them ends in ERR_FILE_DAMAGED', async () => {
    class Losing extends MemoryStore {
      override async write(stream: Readable, id: string, offset: number): Promise<number> {
        const end = await super.write(stream, id, offset);
        this.contents.set(id, this.of(id).subarray(0, offset));
        return end;
      }
    }
    const { first, second, url } = await send(new Losing());
    expect(first).toMatchObject({ status: 204, offset: 100_000 });
    expect(second).toMatchObject({ status: 422, code: 'ERR_FILE_DAMAGED' });
    expect(await readRecord(url)).toMatchObject({ state: 'rejected' });
  });

  it('and mixes up bytes ends in ERR_FILE_DAMAGED', async () => {
    class Mixing extends MemoryStore {
      override async write(stream: Readable, id: string, offset: number): Promise<number> {
        const end = await super.write(stream, id, offset);
        this.contents.set(id, Buffer.from(this.of(id)).fill('x', offset + 5000, offset + 5001));
        return end;
      }
    }
    const { second, dataDir } = await send(new Mixing());
    expect(second).toMatchObject({ status: 422, code: 'ERR_FILE_DAMAGED' });
    expect(await filesBelow(join(dataDir, 'files'))).toEqual([]);
  });

  it('and returns other bytes at a later read publishes none of those', async () => {
    class Forgetful extends MemoryStore {
      reads = 0;
      override read(id: string): Readable {
        this.reads += 1;
        const bytes = Buffer.from(this.of(id));
        // The first two reads were for the checksum and for the head.
        if (this.reads === 3) bytes[70_000] = (bytes[70_000] ?? 0) ^ 1;
        return Readable.from([bytes], { objectMode: false });
      }
    }
    const store = new Forgetful();
    const { url, landfall } = await send(store);
    await expect.poll(async () => (await readRecord(url)).state).toBe('accepted');
    expect(store.reads).toBeGreaterThan(3);
    const answer = await fetch(url);
    expect(Buffer.from(await answer.arrayBuffer()).equals(await videoBytes(LENGTH))).toBe(true);
    await landfall.close();
  });

  it('or fails now and then still gets the file accepted', async () => {
    class Failing extends MemoryStore {
      writes = 0;
      override async write(stream: Readable, id: string, offset: number): Promise<number> {
        this.writes += 1;
        if (this.writes % 2 === 1) throw new Error('SlowDown');
        return super.write(stream, id, offset);
      }
    }
    const store = new Failing();
    const { second } = await send(store);
    expect(second).toMatchObject({ status: 204, offset: LENGTH });
    expect(store.writes).toBeGreaterThan(2);
  });
});
