// The bucket and the key prefix are settings; the bytes of an unfinished upload stay where they were before a change.
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ConfigInput } from '../../server/index.ts';
import { sha256, videoBytes } from '../support/content.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { MIB, s3Config } from '../support/s3-landfall.ts';
import { testBucket } from '../support/s3-test-bucket.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, patchUpload } from '../support/tus-requests.ts';

describe('a start whose settings name another staging place', () => {
  async function startUpload() {
    const bed = await testBucket();
    const dataDir = testDirectory();
    const config = { ...s3Config(bed), dataDir };
    const bytes = await videoBytes(7 * MIB);
    const first = await embedLandfall(config);
    const { url } = await createUpload(first.files, { length: bytes.byteLength, name: 'film.mp4' });
    expect((await patchUpload(url, 0, bytes.subarray(0, 6 * MIB))).offset).toBe(6 * MIB);
    await first.close();
    return {
      config,
      async expectResumed(changed: ConfigInput = {}) {
        const { files, close } = await embedLandfall({ ...config, ...changed });
        const again = url.replace(first.files, files);
        expect(await patchUpload(again, 6 * MIB, bytes.subarray(6 * MIB))).toMatchObject({ status: 204, offset: bytes.byteLength });
        expect(sha256(Buffer.from(await (await fetch(again)).arrayBuffer()))).toBe(sha256(bytes));
        await close();
      },
    };
  }

  it.for([
    ['a prefix', { s3Prefix: 'landfall-test-elsewhere/' }],
    ['a disk', { storageBackend: 'disk' }],
  ] as const)(
    'is refused when that is %s without the bytes of an unfinished upload, which resumes once the setting is restored',
    async ([, changed]) => {
      const { config, expectResumed } = await startUpload();
      await expect(embedLandfall({ ...config, ...changed })).rejects.toThrow(/^Unfinished uploads have their bytes in s3:.* are missing/);
      await expectResumed();
    },
  );

  it('succeeds when the new address leads to the same bucket', async () => {
    const { config, expectResumed } = await startUpload();
    const proxy = await startFaultProxy({ upstream: config.s3Endpoint as string, onRequest: () => undefined });
    onTestFinished(() => proxy.close());
    await expectResumed({ s3Endpoint: proxy.url });
  });

  it('succeeds when no upload is unfinished', async () => {
    const { config, expectResumed } = await startUpload();
    await expectResumed();
    const { files } = await embedLandfall({ ...config, s3Prefix: `${config.s3Prefix}other/` });
    expect((await createUpload(files, { length: MIB, name: 'film.mp4', body: await videoBytes(MIB) })).status).toBe(201);
  });
});
