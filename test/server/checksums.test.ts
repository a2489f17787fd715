import { describe, expect, it, onTestFinished } from 'vitest';
import { crc32Of, sha256, videoBytes } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { openSocket, patchHead } from '../support/raw-http.ts';
import { createUpload, patchUpload, readRecord } from '../support/tus-requests.ts';

const LENGTH = 3 * 1024 * 1024 + 17;

describe('the record of an accepted file', () => {
  it('has its CRC-32, however it was cut into chunks', async () => {
    const server = await embedLandfall();
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    for (let offset = 0; offset < LENGTH; offset += 1_000_003) {
      await patchUpload(url, offset, bytes.subarray(offset, offset + 1_000_003));
    }
    const record = await readRecord(url);
    expect(record).toMatchObject({ state: 'accepted', checksum: crc32Of(bytes) });
    expect(record).not.toHaveProperty('sha256');
  });

  it('has its CRC-32 when it was sent whole with its creation', async () => {
    const server = await embedLandfall();
    const bytes = await videoBytes(20_000);
    const { url } = await createUpload(server.files, { length: bytes.length, name: 'film.mp4', body: bytes });
    expect(await readRecord(url)).toMatchObject({ state: 'accepted', checksum: crc32Of(bytes) });
  });

  it('has its CRC-32, however often the connection broke', async () => {
    const server = await embedLandfall();
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    for (let offset = 0; offset < LENGTH; ) {
      const socket = await openSocket(server.url);
      onTestFinished(() => void socket.destroy());
      socket.write(patchHead(url, offset, LENGTH - offset));
      const sent = Math.min(LENGTH, offset + 1_234_567);
      socket.write(bytes.subarray(offset, sent));
      await expect.poll(async () => (await readRecord(url)).offset, { interval: 20, timeout: 60_000 }).toBe(sent);
      socket.destroy();
      offset = sent;
    }
    await expect.poll(() => readRecord(url), { timeout: 60_000 }).toMatchObject({ state: 'accepted', checksum: crc32Of(bytes) });
  });

  it('has its SHA-256, too, when configuration asks for it', async () => {
    const server = await embedLandfall({ sha256: true });
    const files = await Promise.all([1, 2, 3].map((seed) => videoBytes(LENGTH, seed)));
    const urls = await Promise.all(
      files.map(async (bytes) => {
        const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
        expect(await patchUpload(url, 0, bytes)).toMatchObject({ status: 204 });
        return url;
      }),
    );
    for (const [index, url] of urls.entries()) {
      expect(await readRecord(url)).toMatchObject({ state: 'accepted', sha256: sha256(files[index] ?? Buffer.alloc(0)) });
    }
  });
});
