import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { sha256, videoBytes } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { createUpload, patchUpload, readRecord } from '../support/tus-requests.ts';

const LENGTH = 3 * 1024 * 1024 + 17;

function crc32Of(bytes: Uint8Array): string {
  return `crc32:${crc32(bytes).toString(16).padStart(8, '0')}`;
}

describe('the record of an accepted file', () => {
  it('has its CRC-32, whatever the chunks were', async () => {
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

  it('has its SHA-256, too, where configuration asks for it', async () => {
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
