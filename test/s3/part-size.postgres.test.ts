// Processes with different settings serve one ledger and one bucket, as during a change of settings.
import { expect, it } from 'vitest';
import { sha256, videoBytes } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { postgresForTests } from '../support/postgres.ts';
import { MIB, s3Config } from '../support/s3-landfall.ts';
import { testBucket } from '../support/s3-test-bucket.ts';
import { createUpload, idOf, patchUpload, readRecord } from '../support/tus-requests.ts';

const postgres = postgresForTests();

it.for(['before the first byte', 'with the last'])(
  'two processes with different part sizes share one upload, its length declared %s',
  { timeout: 240_000 },
  async (when) => {
    const bed = await testBucket();
    const shared = { ...s3Config(bed), databaseUrl: await postgres.database(), s3Memory: 256 * MIB };
    const doors = [
      await embedLandfall({ ...shared, s3PartSize: 16 * MIB, maxUploadSize: '1 TiB' }),
      await embedLandfall({ ...shared, s3PartSize: 5 * MIB, maxUploadSize: '1 GiB' }),
    ].map(({ files }) => files);
    const bytes = await videoBytes(40 * MIB);
    const length = { 'Upload-Length': String(bytes.byteLength) };
    const isToldAtOnce = when === 'before the first byte';
    const headers = isToldAtOnce ? length : { 'Upload-Defer-Length': '1' };
    const { url } = await createUpload(doors[0] ?? '', { name: 'film.mp4', headers });
    for (let at = 0, end = 0, turn = 0; at < bytes.byteLength; at = end, turn++) {
      end = Math.min(at + 9 * MIB, bytes.byteLength);
      const told: Record<string, string> = !isToldAtOnce && end === bytes.byteLength ? length : {};
      const answer = await patchUpload(`${doors[turn % 2]}/${idOf(url)}`, at, bytes.subarray(at, end), told);
      expect(answer).toMatchObject({ status: 204, offset: end });
    }
    expect(await readRecord(url)).toMatchObject({ state: 'accepted', length: bytes.byteLength });
    expect(sha256(Buffer.from(await (await fetch(url)).arrayBuffer()))).toBe(sha256(bytes));
    await expect.poll(async () => [await bed.keys('staging/'), await bed.unfinished()]).toEqual([[], []]);
  },
);

it('a process does not start beside one that stages bytes in another place', async () => {
  const bed = await testBucket();
  const shared = { ...s3Config(bed), databaseUrl: await postgres.database() };
  await embedLandfall(shared);
  await expect(embedLandfall({ ...shared, s3Prefix: `${shared.s3Prefix}other/` })).rejects.toThrow(/^Other processes of this ledger/);
  await embedLandfall(shared);
});
