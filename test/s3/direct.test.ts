// Direct uploads: Landfall gives out addresses, S3 receives the bytes, and Landfall still decides the verdict.
import { closeSync, openSync, writeSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { nodeStore } from '../../client/node/store.ts';
import { upload } from '../../client/node.ts';
import { sha256, videoBytes, writeVideo } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { embedLandfallOnS3, isTaken, JSON_TYPE, MIB, operationOf, partNumberOf, s3Error } from '../support/s3-landfall.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { readRecord } from '../support/tus-requests.ts';

interface Links {
  id: string;
  url: string;
  partSize: number;
  parts: { number: number; url: string }[];
}

async function ask(
  url: string,
  wanted?: object,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: Links & { code?: string } }> {
  const method = wanted === undefined ? 'GET' : 'POST';
  const response = await fetch(`${url}`, {
    method,
    headers: { ...JSON_TYPE, ...headers },
    ...(wanted && { body: JSON.stringify(wanted) }),
  });
  return { status: response.status, body: (await response.json()) as Links };
}

/** Whether a body was sent to a signed address. The server's own probes of such addresses do not count. */
function isSent(path: string): boolean {
  return path.includes('X-Amz-Signature') && !path.includes('/probe');
}

function overwrite(path: string, text: string, at: number): void {
  const file = openSync(path, 'r+');
  writeSync(file, text, at);
  closeSync(file);
}

async function sendParts({ parts, partSize }: Links, bytes: Buffer<ArrayBuffer>, wanted = (_number: number) => true): Promise<number[]> {
  const sent = parts.filter(({ number }) => wanted(number));
  return Promise.all(
    sent.map(async ({ number, url }) => {
      const response = await fetch(url, { method: 'PUT', body: bytes.subarray((number - 1) * partSize, number * partSize) });
      return response.status;
    }),
  );
}

describe.skipIf(inject('s3HeaderGuard') === null)('a direct upload', () => {
  it.for([MIB, 13 * MIB])('of %i bytes goes to S3 by signed addresses, and is accepted once it is complete', async (length) => {
    const { url, onlyFile, expectNothingStaged, proxy } = await embedLandfallOnS3();
    const bytes = await videoBytes(length);
    const { status, body } = await ask(`${url}/get-upload-url`, { name: 'film.mp4', type: 'video/mp4', length });
    expect([status, body.parts.length]).toEqual([201, Math.ceil(length / (5 * MIB))]);
    expect(new Set(await sendParts(body, bytes))).toEqual(new Set([200]));
    const done = await ask(`${url}/get-upload-url/${body.id}`, {});
    expect(done).toMatchObject({ status: 200, body: { state: 'accepted', length, type: 'video/mp4', checksum: null } });
    expect((await onlyFile()).bytes.equals(bytes)).toBe(true);
    const reads = proxy.exchanges.filter((exchange) => operationOf(exchange) === 'GetObject' && exchange.path.includes('/bytes'));
    expect(reads.reduce((sum, { answer }) => sum + Number(answer?.['content-length'] ?? 0), 0)).toBeLessThan(64 * 1024);
    expect(await ask(`${url}/get-upload-url/${body.id}`, {})).toMatchObject({ status: 200, body: { state: 'accepted' } });
    await expectNothingStaged();
  });

  it('names its missing parts, and gets new addresses for them', async () => {
    const { url, onlyFile } = await embedLandfallOnS3();
    const bytes = await videoBytes(17 * MIB);
    const created = await ask(`${url}/get-upload-url`, { name: 'film.mp4', length: 17 * MIB });
    await sendParts(created.body, bytes, (number) => number !== 2);
    expect(await ask(`${url}/get-upload-url/${created.body.id}`, {})).toMatchObject({
      status: 409,
      body: { code: 'ERR_MISMATCHED_OFFSET' },
    });
    const missing = await ask(`${url}/get-upload-url/${created.body.id}`);
    expect(missing.body.parts.map(({ number }) => number)).toEqual([2]);
    await sendParts(missing.body, bytes);
    expect((await ask(`${url}/get-upload-url/${created.body.id}`, {})).status).toBe(200);
    expect((await onlyFile()).bytes.equals(bytes)).toBe(true);
  });

  it.for([true, false])('of no bytes is complete before anything is sent, and gets its verdict: accepted is %s', async (allowEmpty) => {
    const { url, files, s3, config, close, expectNothingStaged } = await embedLandfallOnS3(undefined, { allowEmpty, allow: 'text' });
    const { status, body } = await ask(`${url}/get-upload-url`, { name: 'empty.txt', length: 0 });
    expect([status, body.parts]).toEqual([201, []]);
    expect((await ask(`${url}/get-upload-url/${body.id}`)).body.parts).toEqual([]);
    expect(await readRecord(`${files}/${body.id}`)).toMatchObject({ state: 'receiving', length: 0 });
    // Its creation was answered: a start does not discard it as an upload whose sender never got its address.
    await close();
    const again = await embedLandfall(config);
    for (let time = 0; time < 2; time++) {
      const done = await ask(`${again.url}/get-upload-url/${body.id}`, {});
      expect(done).toMatchObject(allowEmpty ? { status: 200, body: { state: 'accepted', length: 0 } } : { status: 422 });
    }
    expect(await s3.keys('files/')).toHaveLength(allowEmpty ? 1 : 0);
    await expectNothingStaged();
  });

  it('is inspected like any other, and the inspected bytes can not be overwritten', async () => {
    const { url, s3, onlyFile } = await embedLandfallOnS3(undefined, { sha256: true });
    const program = Buffer.alloc(MIB, 'MZ');
    const refused = await ask(`${url}/get-upload-url`, { name: 'film.mp4', length: MIB });
    await sendParts(refused.body, program);
    expect((await ask(`${url}/get-upload-url/${refused.body.id}`, {})).status).toBe(422);
    expect((await readRecord(refused.body.url.startsWith('http') ? refused.body.url : `${url}${refused.body.url}`)).state).toBe('rejected');
    expect(await s3.keys('files/')).toEqual([]);

    const bytes = await videoBytes(MIB);
    const accepted = await ask(`${url}/get-upload-url`, { name: 'film.mp4', length: MIB });
    await sendParts(accepted.body, bytes);
    const done = await ask(`${url}/get-upload-url/${accepted.body.id}`, {});
    expect(done).toMatchObject({ status: 200, body: { checksum: null, sha256: sha256(bytes) } });
    await sendParts(accepted.body, program);
    expect((await onlyFile()).bytes.equals(bytes)).toBe(true);
  });

  it('gets no more bytes than declared, and no name or size that policy refuses', async () => {
    const { url } = await embedLandfallOnS3();
    const { body } = await ask(`${url}/get-upload-url`, { name: 'film.mp4', length: MIB });
    const [link] = body.parts;
    expect(await isTaken(fetch(link?.url ?? '', { method: 'PUT', body: Buffer.alloc(2 * MIB) }))).toBe(false);
    expect((await ask(`${url}/get-upload-url`, { name: 'setup.exe', length: MIB })).status).toBe(422);
    expect((await ask(`${url}/get-upload-url`, { name: 'film.mp4', length: 2 ** 40 })).status).toBe(413);
    expect((await ask(`${url}/get-upload-url`, { name: 'film.mp4' })).status).toBe(400);
  });

  it('created twice with one idempotency key is one upload', async () => {
    const { url } = await embedLandfallOnS3();
    const headers = { 'Idempotency-Key': 'one' };
    const [first, second] = [
      await ask(`${url}/get-upload-url`, { name: 'film.mp4', length: MIB }, headers),
      await ask(`${url}/get-upload-url`, { name: 'film.mp4', length: MIB }, headers),
    ];
    expect(second.body.id).toBe(first.body.id);
    const other = await ask(`${url}/get-upload-url`, { name: 'film.mp4', length: MIB + 1 }, headers);
    expect([other.status, other.body.id === first.body.id]).toEqual([201, false]);
  });

  it.for([MIB, 23 * MIB])('of %i bytes by our client ends like any upload', async (length) => {
    const { files, proxy, onlyFile, expectNothingStaged } = await embedLandfallOnS3();
    const directory = testDirectory();
    await writeVideo(join(directory, 'film.mp4'), length);
    const options = {
      endpoint: files,
      store: nodeStore(join(directory, 'state')),
      via: 'direct',
      headers: { Authorization: 'secret' },
    } as const;
    const result = await upload(join(directory, 'film.mp4'), options).done;
    expect(result).toMatchObject({ size: length, type: 'video/mp4' });
    expect((await onlyFile()).bytes.equals(await videoBytes(length))).toBe(true);
    const sent = proxy.exchanges.filter(({ method, path }) => method === 'PUT' && isSent(path));
    expect(sent.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(length);
    expect(sent.every(({ headers }) => headers.authorization === undefined)).toBe(true);
    await expectNothingStaged();
  });

  it('by our client reports the refusal, and sends again only the parts that S3 lacks', async () => {
    let refusals = 0;
    const { files, proxy, onlyFile } = await embedLandfallOnS3((exchange) =>
      exchange.path.includes('X-Amz-Signature') && partNumberOf(exchange) === 3 && refusals++ < 2
        ? s3Error(403, 'AccessDenied')
        : undefined,
    );
    const directory = testDirectory();
    const path = join(directory, 'film.mp4');
    await writeVideo(path, 22 * MIB);
    const options = { endpoint: files, store: nodeStore(join(directory, 'state')), via: 'direct' } as const;
    await upload(path, options).done;
    expect((await onlyFile()).bytes.equals(await videoBytes(22 * MIB))).toBe(true);
    const sent = proxy.exchanges.filter(({ path }) => isSent(path)).map(partNumberOf);
    expect(sent).toEqual([1, 2, 3, 3, 3, 4, 5]);
    await writeFile(path, Buffer.alloc(12 * MIB, 'MZ'));
    await expect(upload(path, options).done).rejects.toMatchObject({ code: 'ERR_TYPE_MISMATCH' });
  });

  it('by our client sends parts that are larger than it holds in memory', async () => {
    const { files, onlyFile } = await embedLandfallOnS3(undefined, { s3PartSize: 40 * MIB, s3Memory: 128 * MIB });
    const directory = testDirectory();
    const path = join(directory, 'film.mp4');
    await writeVideo(path, 34 * MIB);
    await upload(path, { endpoint: files, store: nodeStore(join(directory, 'state')), via: 'direct', budgetMs: 20_000 }).done;
    expect((await onlyFile()).bytes.equals(await videoBytes(34 * MIB))).toBe(true);
  });

  it('by our client of a source that changed midway is not accepted as a mixture', async () => {
    const directory = testDirectory();
    const path = join(directory, 'film.mp4');
    await writeVideo(path, 22 * MIB);
    const { files, s3 } = await embedLandfallOnS3((exchange) => {
      if (isSent(exchange.path) && partNumberOf(exchange) === 4) overwrite(path, 'x'.repeat(MIB), MIB);
      return undefined;
    });
    const options = { endpoint: files, store: nodeStore(join(directory, 'state')), via: 'direct' } as const;
    await expect(upload(path, options).done).rejects.toMatchObject({ code: 'ERR_SOURCE_CHANGED' });
    expect(await s3.keys('files/')).toEqual([]);
  });

  it('by our client falls back to tus on a server without direct uploads', async () => {
    const { files } = await embedLandfall();
    const directory = testDirectory();
    await writeVideo(join(directory, 'film.mp4'), MIB);
    const options = { endpoint: files, store: nodeStore(join(directory, 'state')), via: 'direct' } as const;
    expect(await upload(join(directory, 'film.mp4'), options).done).toMatchObject({ size: MIB });
  });

  it.for([
    { length: 12 * MIB, before: 5 * MIB, after: 16 * MIB, isSent: 'in part' },
    { length: 12 * MIB, before: 5 * MIB, after: 16 * MIB, isSent: 'whole' },
    { length: 12 * MIB, before: 16 * MIB, after: 5 * MIB, isSent: 'whole' },
    { length: 12 * MIB, before: 16 * MIB, after: 5 * MIB, isSent: 'not at all' },
  ])('of $length bytes in parts of $before, sent $isSent, resumes when the part size became $after', async (plan) => {
    const first = await embedLandfallOnS3(undefined, { s3PartSize: plan.before });
    const bytes = await videoBytes(plan.length);
    const created = await ask(`${first.url}/get-upload-url`, { name: 'film.mp4', length: plan.length });
    await sendParts(created.body, bytes, (number) => plan.isSent === 'whole' || (plan.isSent === 'in part' && number === 1));
    await first.close();
    const { url } = await embedLandfall({ ...first.config, s3PartSize: plan.after });
    const links = await ask(`${url}/get-upload-url/${created.body.id}`);
    expect(links.body.parts.map(({ number }) => number)).toEqual({ whole: [], 'in part': [2, 3], 'not at all': [1, 2, 3] }[plan.isSent]);
    await sendParts(links.body, bytes);
    expect(await ask(`${url}/get-upload-url/${created.body.id}`, {})).toMatchObject({ status: 200, body: { state: 'accepted' } });
    expect((await first.onlyFile()).bytes.equals(bytes)).toBe(true);
    await first.expectNothingStaged();
  });

  it('by addresses from before the part size shrank is accepted, whatever addresses were given out since', async () => {
    const first = await embedLandfallOnS3(undefined, { s3PartSize: 16 * MIB });
    const bytes = await videoBytes(12 * MIB);
    const created = await ask(`${first.url}/get-upload-url`, { name: 'film.mp4', length: 12 * MIB });
    await first.close();
    const { url } = await embedLandfall({ ...first.config, s3PartSize: 5 * MIB });
    await ask(`${url}/get-upload-url/${created.body.id}`);
    await sendParts(created.body, bytes);
    expect(await ask(`${url}/get-upload-url/${created.body.id}`, {})).toMatchObject({ status: 200, body: { state: 'accepted' } });
    expect((await first.onlyFile()).bytes.equals(bytes)).toBe(true);
    await first.expectNothingStaged();
  });

  it('is not offered by a server that stores files on a disk', async () => {
    const { url } = await embedLandfall();
    expect((await ask(`${url}/get-upload-url`, { name: 'film.mp4', length: MIB })).status).toBe(404);
  });
});

it('the methods and the media type of its addresses are named where another is refused', async () => {
  const { url } = await embedLandfallOnS3();
  const { body } = await ask(`${url}/get-upload-url`, { name: 'film.mp4', length: MIB });
  for (const [address, method, allow] of [
    [`${url}/get-upload-url`, 'GET', 'OPTIONS, POST'],
    [`${url}/get-upload-url/${body.id}`, 'DELETE', 'OPTIONS, GET, POST'],
  ] as const) {
    const refused = await fetch(address, { method });
    expect([refused.status, refused.headers.get('Allow')]).toEqual([405, allow]);
    expect((await fetch(address, { method: 'OPTIONS' })).headers.get('Allow')).toBe(allow);
  }
  const text = await fetch(`${url}/get-upload-url`, { method: 'POST', body: 'text' });
  expect([text.status, text.headers.get('Accept')]).toEqual([415, 'application/json']);
});
