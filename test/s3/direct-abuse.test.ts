// What a sender that is allowed to upload could do with the addresses it gets, and with the door that gives them out.
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { upload } from '../../client/node.ts';
import { nodeStore } from '../../client/node-store.ts';
import { videoBytes, writeVideo } from '../support/content.ts';
import { embedLandfallOnS3, MIB } from '../support/s3-landfall.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, readRecord } from '../support/tus-requests.ts';

interface Links {
  id: string;
  parts: { number: number; url: string }[];
}

async function linksFor(url: string, length: number): Promise<Links> {
  const response = await fetch(`${url}/get-upload-url`, { method: 'POST', body: JSON.stringify({ name: 'film.mp4', length }) });
  expect(response.status).toBe(201);
  return (await response.json()) as Links;
}

it.for([MIB, 6 * MIB])('an address for %i bytes copies nothing that is another’s', async (length) => {
  const { url, s3 } = await embedLandfallOnS3();
  const secret = await videoBytes(MIB);
  await s3.bucket.put('files/secret', secret);
  const { parts } = await linksFor(url, length);
  const part = parts.at(-1);
  const own = Buffer.alloc(MIB, 'o');
  for (const source of [s3.bucket.source('files/secret'), `/${s3.bucket.source('files/secret')}`]) {
    for (const name of ['x-amz-copy-source', 'x_amz_copy_source']) {
      const headers = { [name]: source, 'x-amz-copy-source-range': `bytes=0-${MIB - 1}` };
      const copied = await fetch(part?.url ?? '', { method: 'PUT', body: own, headers }).catch(() => undefined);
      expect(copied?.ok && (await copied.text()).includes('Copy')).not.toBe(true);
      const plain = await fetch(part?.url ?? '', { method: 'PUT', body: own, headers: { [name]: source } }).catch(() => undefined);
      expect(plain?.ok && (await plain.text()).includes('Copy')).not.toBe(true);
    }
  }
  for (const key of await s3.keys('staging/')) {
    const { size = 0 } = (await s3.bucket.head(key)) ?? {};
    expect((await s3.bucket.read(key, 0, size)).equals(secret)).toBe(false);
  }
  const opened = await fetch(part?.url ?? '', { method: 'PUT', body: own, headers: { 'x-amz-acl': 'public-read' } });
  expect(opened.status).toBe(403);
  expect((await fetch(part?.url ?? '', { method: 'PUT', body: own })).status).toBe(200);
});

it('where addresses can’t be kept from that, none are given out', async () => {
  const { url, files } = await embedLandfallOnS3(({ method, path }) =>
    method === 'GET' && path.includes('/probe')
      ? { kind: 'answer', status: 206, headers: { 'Content-Length': '1' }, body: 'a' }
      : undefined,
  );
  const response = await fetch(`${url}/get-upload-url`, { method: 'POST', body: JSON.stringify({ name: 'film.mp4', length: MIB }) });
  expect(response.status).toBe(404);
  const directory = testDirectory();
  await writeVideo(join(directory, 'film.mp4'), MIB);
  const options = { endpoint: files, store: nodeStore(join(directory, 'state')), via: 'direct' } as const;
  expect(await upload(join(directory, 'film.mp4'), options).done).toMatchObject({ size: MIB });
});

it('an upload whose parts a rule of the bucket took away can be sent anew, and keeps no other from being swept', async () => {
  const { url, files, s3, expectNothingStaged } = await embedLandfallOnS3(undefined, { expireAfter: 2000, sweepInterval: 200 });
  const { id, parts } = await linksFor(url, 6 * MIB);
  for await (const { key, uploadId } of s3.bucket.multiparts.list('staging/')) await s3.bucket.multiparts.abort(key, uploadId);
  const gone = await fetch(parts[0]?.url ?? '', { method: 'PUT', body: Buffer.alloc(5 * MIB) });
  expect(gone.status).toBe(404);
  expect((await fetch(`${url}/get-upload-url/${id}`, { method: 'POST' })).status).toBe(409);
  const anew = (await (await fetch(`${url}/get-upload-url/${id}`)).json()) as Links;
  expect(anew.parts.map(({ number }) => number)).toEqual([1, 2]);
  expect((await fetch(anew.parts[0]?.url ?? '', { method: 'PUT', body: Buffer.alloc(5 * MIB) })).status).toBe(200);
  for await (const { key, uploadId } of s3.bucket.multiparts.list('staging/')) await s3.bucket.multiparts.abort(key, uploadId);
  const { url: later } = await createUpload(files, { length: 100 });
  const state = async (address: string) => (await readRecord(address)).state;
  await vi.waitFor(async () => expect([await state(`${files}/${id}`), await state(later)]).toEqual(['expired', 'expired']), 10_000);
  await expectNothingStaged();
});
