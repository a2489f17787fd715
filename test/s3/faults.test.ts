// Faults of S3, and what a sender notices of them: nothing, or a pause. Beside each, the same fault under the stock store.
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { FileKvStore } from '@tus/utils';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { S3Staging } from '../../server/staging/s3/s3-staging.ts';
import { gathered, videoBytes } from '../support/content.ts';
import type { Exchange, Fault } from '../support/fault-proxy.ts';
import { REPOSITORY } from '../support/repository.ts';
import { embedLandfallOnS3, MIB, operationOf, partNumberOf, s3Error } from '../support/s3-landfall.ts';
import { testBucket } from '../support/s3-test-bucket.ts';
import { startStockOnS3 } from '../support/stock-s3.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, idOf, patchUpload, readRecord, terminateUpload } from '../support/tus-requests.ts';
import { uploadId } from '../support/upload-ids.ts';
import { writeStaged } from '../support/write-staged.ts';

const LENGTH = 23 * MIB;

/** Injects a fault into matching requests, for as long as it is switched on. */
class Trouble {
  isOn = true;
  count = 0;
  readonly #fault: Fault;
  readonly #times: number;
  readonly #isMeant: (exchange: Exchange) => boolean;

  constructor(isMeant: (exchange: Exchange) => boolean, fault: Fault, times = Number.POSITIVE_INFINITY) {
    this.#fault = fault;
    this.#times = times;
    this.#isMeant = isMeant;
  }

  readonly plan = (exchange: Exchange): Fault | undefined => {
    if (!this.isOn || this.count >= this.#times || !this.#isMeant(exchange)) return undefined;
    this.count += 1;
    return this.#fault;
  };
}

const isOperation =
  (...names: string[]) =>
  (exchange: Exchange) =>
    names.includes(operationOf(exchange));
const isPart = (number: number) => (exchange: Exchange) => operationOf(exchange) === 'UploadPart' && partNumberOf(exchange) === number;

function storedParts(exchanges: readonly Exchange[]): number[] {
  return exchanges.filter((exchange) => operationOf(exchange) === 'UploadPart' && exchange.status === 200).map(partNumberOf);
}

async function resume(url: string, bytes: Buffer<ArrayBuffer>): Promise<number> {
  const { offset = -1 } = await headUpload(url);
  const answer = await patchUpload(url, offset, bytes.subarray(offset));
  expect(answer).toMatchObject({ status: 204, offset: bytes.byteLength });
  return offset;
}

/** Sends the whole film in one request. Resolves with its bytes, its address and the answer. */
async function sendFilm(files: string) {
  const bytes = await videoBytes(LENGTH);
  const { url } = await createUpload(files, { length: LENGTH, name: 'film.mp4' });
  return { bytes, url, answer: await patchUpload(url, 0, bytes) };
}

/** The head of a PATCH that announces the whole film. */
function startPatch(url: string): ClientRequest {
  const headers = {
    'Tus-Resumable': '1.0.0',
    'Upload-Offset': 0,
    'Content-Type': 'application/offset+octet-stream',
    'Content-Length': LENGTH,
  };
  const patch = request(url, { method: 'PATCH', headers });
  patch.on('error', () => {});
  onTestFinished(() => void patch.destroy());
  return patch;
}

describe('one part failing while later ones succeed', () => {
  // The failure is late enough that the following parts are already stored.
  const lateFailure = () => new Trouble(isPart(2), s3Error(403, 'AccessDenied', 2000));

  it('leaves the offset before the gap, and the resumed upload ends with the right bytes', async () => {
    const trouble = lateFailure();
    const { files, proxy, onlyFile, expectNothingStaged } = await embedLandfallOnS3(trouble.plan);
    const { bytes, url, answer } = await sendFilm(files);
    expect(answer.status).toBe(503);
    expect(storedParts(proxy.exchanges)).toContain(3);
    trouble.isOn = false;
    expect(await resume(url, bytes)).toBe(5 * MIB);
    expect((await onlyFile()).bytes.equals(bytes)).toBe(true);
    await expectNothingStaged();
  });

  it('is reported to a sender that pauses, before it sends more', async () => {
    const { files } = await embedLandfallOnS3(new Trouble(isPart(2), s3Error(403, 'AccessDenied', 500)).plan);
    const { url } = await createUpload(files, { length: LENGTH, name: 'film.mp4' });
    const patch = startPatch(url);
    patch.write(await videoBytes(12 * MIB));
    const [answer] = (await once(patch, 'response')) as [IncomingMessage];
    expect(answer.statusCode).toBe(503);
  });

  it('corrupts the file of the stock store', async () => {
    const trouble = lateFailure();
    const { files, s3 } = await startStockOnS3(trouble.plan);
    // Whole parts, since S3 refuses a short part in the middle.
    const length = 25 * MIB;
    const bytes = await videoBytes(length);
    const { url } = await createUpload(files, { length });
    await patchUpload(url, 0, bytes);
    trouble.isOn = false;
    expect(await resume(url, bytes)).toBeGreaterThan(5 * MIB);
    const stored = await stockFile(s3, url);
    expect(stored.byteLength).toBe(length);
    expect(stored.equals(bytes)).toBe(false);
  });
});

describe('SlowDown', () => {
  const once = () => new Trouble(isOperation('UploadPart'), s3Error(503, 'SlowDown'), 2);

  it('makes the server wait and try again', async () => {
    const trouble = once();
    const { files, onlyFile } = await embedLandfallOnS3(trouble.plan);
    const { bytes, answer } = await sendFilm(files);
    expect(answer).toMatchObject({ status: 204, offset: LENGTH });
    expect(trouble.count).toBe(2);
    expect((await onlyFile()).bytes.equals(bytes)).toBe(true);
  });

  it('fails a request to the stock store', async () => {
    const { files } = await startStockOnS3(once().plan);
    const { url } = await createUpload(files, { length: LENGTH });
    expect((await patchUpload(url, 0, await videoBytes(LENGTH))).status).toBe(500);
  });
});

describe('the completion of a multipart upload', () => {
  it.for([
    ['whose answer is lost is a completion', 'CompleteMultipartUpload', { kind: 'drop-response' }, 1],
    // S3 is asked again and again: the stored object shows that the completion succeeded.
    ['whose answers are all lost is a completion', 'CompleteMultipartUpload', { kind: 'drop-response' }, 5],
    ['that says 200 and means an error is made again', 'CompleteMultipartUpload', s3Error(200, 'InternalError'), 1],
    ['or of a copy that says 200 and means an error is made again', 'CopyObject', s3Error(200, 'InternalError'), 1],
  ] as const)('%s', async ([, operation, fault, times]) => {
    const trouble = new Trouble(isOperation(operation), fault, times);
    const { files, onlyFile, expectNothingStaged } = await embedLandfallOnS3(trouble.plan);
    const { bytes, answer } = await sendFilm(files);
    expect(answer).toMatchObject({ status: 204, offset: LENGTH });
    expect(trouble.count).toBe(times);
    expect((await onlyFile()).bytes.equals(bytes)).toBe(true);
    await expectNothingStaged();
  });

  it.for([
    ['that fails', s3Error(403, 'AccessDenied')],
    ['that always says 200 and means an error', s3Error(200, 'InternalError')],
  ] as const)('%s holds back the last byte, and is repeated when the sender sends that byte again', async ([, fault]) => {
    const trouble = new Trouble(isOperation('CompleteMultipartUpload'), fault);
    const { files, s3, onlyFile, expectNothingStaged } = await embedLandfallOnS3(trouble.plan);
    const { bytes, url, answer } = await sendFilm(files);
    expect(answer.status).toBe(503);
    expect((await headUpload(url)).offset).toBe(LENGTH - 1);
    expect(await s3.keys('files/')).toEqual([]);
    trouble.isOn = false;
    expect(await resume(url, bytes)).toBe(LENGTH - 1);
    expect((await onlyFile()).bytes.equals(bytes)).toBe(true);
    await expectNothingStaged();
  });

  it.for([
    ['that fails', s3Error(403, 'AccessDenied'), false],
    ['that always says 200 and means an error', s3Error(200, 'InternalError'), false],
    ['whose answers are all lost', { kind: 'drop-response' }, true],
  ] as const)('%s is a success at the stock store, and no sender learns of the failure', async ([, fault, hasFile]) => {
    const trouble = new Trouble(isOperation('CompleteMultipartUpload'), fault);
    const { files, s3, finished } = await startStockOnS3(trouble.plan);
    const { url } = await createUpload(files, { length: LENGTH });
    expect((await patchUpload(url, 0, await videoBytes(LENGTH))).status).toBe(500);
    trouble.isOn = false;
    expect((await headUpload(url)).offset).toBe(LENGTH);
    if (hasFile) expect((await stockFile(s3, url)).byteLength).toBe(LENGTH);
    else await expect(stockFile(s3, url)).rejects.toThrow('NoSuchKey');
    expect(finished).toEqual([]);
  });
});

describe('an upload of no bytes', () => {
  it('publishes an empty file', async () => {
    const { files, onlyFile } = await embedLandfallOnS3(undefined, { allow: 'text', allowEmpty: true });
    expect((await createUpload(files, { length: 0, name: 'empty.txt' })).status).toBe(201);
    expect((await onlyFile()).bytes.byteLength).toBe(0);
  });

  it('publishes no file at the stock store, which reports it as finished', async () => {
    const { files, s3, finished } = await startStockOnS3();
    const { url, status } = await createUpload(files, { length: 0 });
    expect(status).toBe(201);
    expect(finished).toHaveLength(1);
    await expect(stockFile(s3, url)).rejects.toThrow('NoSuchKey');
  });
});

describe('a length declared with the last bytes', () => {
  const send = async (files: string, bytes: Buffer<ArrayBuffer>) => {
    const { url } = await createUpload(files, { name: 'film.mp4', headers: { 'Upload-Defer-Length': '1' } });
    await patchUpload(url, 0, bytes.subarray(0, 6 * MIB));
    const answer = await patchUpload(url, 6 * MIB, bytes.subarray(6 * MIB), { 'Upload-Length': String(bytes.byteLength) });
    return { url, answer };
  };

  it('completes the upload', async () => {
    const { files, onlyFile } = await embedLandfallOnS3();
    const bytes = await videoBytes(9 * MIB);
    expect((await send(files, bytes)).answer).toMatchObject({ status: 204, offset: 9 * MIB });
    expect((await onlyFile()).bytes.equals(bytes)).toBe(true);
  });

  it('does not complete it at the stock store, whose cache misses the length', async () => {
    const { files, s3 } = await startStockOnS3(undefined, { cache: new FileKvStore(testDirectory()) });
    const { url } = await send(files, await videoBytes(9 * MIB));
    await expect(stockFile(s3, url)).rejects.toThrow('NoSuchKey');
  });
});

describe('a request that fails after one that did not fill a part', () => {
  const trouble = () => new Trouble(isOperation('UploadPart', 'PutObject'), s3Error(403, 'AccessDenied'));

  it('never moves an acknowledged offset back', async () => {
    const failing = trouble();
    failing.isOn = false;
    const { files, onlyFile } = await embedLandfallOnS3(failing.plan);
    const bytes = await videoBytes(9 * MIB);
    const { url } = await createUpload(files, { length: 9 * MIB, name: 'film.mp4' });
    let acknowledged = 0;
    for (const end of [2 * MIB, 4 * MIB, 7 * MIB]) {
      failing.isOn = true;
      expect((await patchUpload(url, acknowledged, bytes.subarray(acknowledged, end))).status).toBe(503);
      expect((await headUpload(url)).offset).toBe(acknowledged);
      failing.isOn = false;
      expect((await patchUpload(url, acknowledged, bytes.subarray(acknowledged, end))).offset).toBe(end);
      acknowledged = end;
    }
    expect(await resume(url, bytes)).toBe(7 * MIB);
    expect((await onlyFile()).bytes.equals(bytes)).toBe(true);
  });

  it('loses acknowledged bytes at the stock store', async () => {
    const failing = trouble();
    failing.isOn = false;
    const { files } = await startStockOnS3(failing.plan);
    const bytes = await videoBytes(9 * MIB);
    const { url } = await createUpload(files, { length: 9 * MIB });
    expect((await patchUpload(url, 0, bytes.subarray(0, 2 * MIB))).offset).toBe(2 * MIB);
    failing.isOn = true;
    await patchUpload(url, 2 * MIB, bytes.subarray(2 * MIB));
    failing.isOn = false;
    expect((await headUpload(url)).offset).toBe(0);
  });
});

describe('deleting a complete upload', () => {
  it('leaves nothing staged', async () => {
    const { bucket, keys, unfinished } = await testBucket();
    const staging = new S3Staging({ bucket, partBytes: 5 * MIB, concurrency: 2, memoryBytes: 16 * MIB, maxUploadBytes: 64 * MIB });
    const id = uploadId('c');
    await writeStaged(staging, id, 0, Readable.from([Buffer.alloc(12 * MIB)]), { ...LIMITS, completeBytes: 12 * MIB });
    expect(await staging.size(id)).toBe(12 * MIB);
    await staging.remove(id);
    expect(await keys()).toEqual([]);
    expect(await unfinished()).toEqual([]);
  });

  it('is refused to a sender, since the upload has a verdict', async () => {
    const { files, onlyFile } = await embedLandfallOnS3();
    const { url } = await createUpload(files, { length: MIB, name: 'film.mp4', body: await videoBytes(MIB) });
    expect(await terminateUpload(url)).toMatchObject({ status: 403, code: 'ERR_UPLOAD_FINISHED' });
    expect((await onlyFile()).bytes.byteLength).toBe(MIB);
  });

  it('leaves the file at the stock store', async () => {
    const { files, s3 } = await startStockOnS3();
    const { url } = await createUpload(files, { length: 6 * MIB });
    await patchUpload(url, 0, await videoBytes(6 * MIB));
    await terminateUpload(url);
    expect((await stockFile(s3, url)).byteLength).toBe(6 * MIB);
  });
});

describe('the checksums that newer S3 clients add by default', () => {
  const isAdded = ({ headers }: Exchange) => headers['x-amz-trailer'] !== undefined || headers['content-encoding'] === 'aws-chunked';

  it('are not sent to a server that may not support them', async () => {
    const { files, proxy } = await embedLandfallOnS3();
    expect((await sendFilm(files)).answer.status).toBe(204);
    expect(proxy.exchanges.filter(isAdded)).toEqual([]);
  });

  it('are sent by the stock store in its default setting', async () => {
    const added: string[] = [];
    const look = (exchange: Exchange) => {
      if (isAdded(exchange)) added.push(operationOf(exchange));
      return undefined;
    };
    const { files } = await startStockOnS3(look, {}, 'WHEN_SUPPORTED');
    const { url } = await createUpload(files, { length: LENGTH });
    await patchUpload(url, 0, await videoBytes(LENGTH));
    expect(added).toContain('UploadPart');
  });
});

describe('senders that stop sending', () => {
  /** Sends a piece of its file, then falls silent. */
  async function stall(files: string): Promise<string> {
    const { url } = await createUpload(files, { length: LENGTH, name: 'film.mp4' });
    const patch = startPatch(url);
    const piece = await videoBytes(MIB);
    await new Promise((resolve) => patch.write(piece, resolve));
    return url;
  }

  it('delay nobody, and give up their memory to senders that need it', async () => {
    const { files, onlyFile } = await embedLandfallOnS3(undefined, { s3Memory: 10 * MIB, s3Concurrency: 1, s3Connections: 2 });
    const stalled = await Promise.all(Array.from({ length: 15 }, () => stall(files)));
    const bytes = await videoBytes(LENGTH, 2);
    const { url } = await createUpload(files, { length: LENGTH, name: 'film.mp4' });
    expect(await patchUpload(url, 0, bytes)).toMatchObject({ status: 204, offset: LENGTH });
    expect((await onlyFile()).bytes.equals(bytes)).toBe(true);
    // The bytes taken out of their memory are stored and acknowledged: all that did not fit beside two parts.
    const offsets = await Promise.all(stalled.map(async (one) => (await readRecord(one)).offset));
    expect(offsets.filter((offset) => offset === MIB).length).toBeGreaterThanOrEqual(5);
  });

  it('block every other sender at the stock store', async () => {
    const { files } = await startStockOnS3(undefined, { maxConcurrentPartUploads: 2 });
    for (let count = 0; count < 2; count++) await stall(files);
    const { url } = await createUpload(files, { length: LENGTH });
    let isOver = false;
    void patchUpload(url, 0, await videoBytes(LENGTH)).then(
      () => {
        isOver = true;
      },
      () => {},
    );
    await new Promise((resolve) => setTimeout(resolve, 3000));
    expect(isOver).toBe(false);
  });

  it('together hold no more memory than the limit', async () => {
    const { bucket } = await testBucket();
    const staging = new S3Staging({ bucket, partBytes: 5 * MIB, concurrency: 2, memoryBytes: 12 * MIB, maxUploadBytes: 64 * MIB });
    let most = 0;
    const bytes = await videoBytes(11 * MIB);
    const writes = Array.from({ length: 12 }, async (_, index) => {
      const id = uploadId(index.toString(16));
      const source = Readable.from(pieces(bytes), { objectMode: false });
      const onBatch = () => {
        most = Math.max(most, staging.memoryTaken);
      };
      expect(await writeStaged(staging, id, 0, source, { ...LIMITS, completeBytes: bytes.byteLength, onBatch })).toMatchObject({
        end: 'whole',
      });
      return id;
    });
    for (const id of await Promise.all(writes)) {
      const reader = await staging.open(id);
      expect((await gathered(reader.stream())).equals(bytes)).toBe(true);
    }
    expect(most).toBeGreaterThan(8 * MIB);
    expect(most).toBeLessThanOrEqual(12 * MIB);
    expect(staging.memoryTaken).toBe(0);
  });
});

describe('an S3 that is unreachable', () => {
  it('makes a sender wait, and loses no acknowledged byte', async () => {
    const { files, proxy, onlyFile, expectNothingStaged } = await embedLandfallOnS3();
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(files, { length: LENGTH, name: 'film.mp4' });
    expect((await patchUpload(url, 0, bytes.subarray(0, 12 * MIB))).offset).toBe(12 * MIB);
    await proxy.goDown();
    expect((await patchUpload(url, 12 * MIB, bytes.subarray(12 * MIB))).status).toBe(503);
    expect((await headUpload(url)).offset).toBe(12 * MIB);
    await proxy.listen();
    await resume(url, bytes);
    expect((await onlyFile()).bytes.equals(bytes)).toBe(true);
    await expectNothingStaged();
  });

  it('while a file is published delays the verdict, and changes none', async () => {
    const trouble = new Trouble(isOperation('CopyObject'), s3Error(403, 'AccessDenied'));
    const { files, onlyFile, expectNothingStaged } = await embedLandfallOnS3(trouble.plan, { patience: 300 });
    const bytes = await videoBytes(6 * MIB);
    const { url } = await createUpload(files, { length: 6 * MIB, name: 'film.mp4' });
    expect((await patchUpload(url, 0, bytes)).status).toBe(503);
    expect((await readRecord(url)).state).toBe('inspecting');
    trouble.isOn = false;
    await vi.waitFor(async () => expect((await readRecord(url)).state).toBe('accepted'), { timeout: 60_000, interval: 50 });
    const { key, bytes: stored } = await onlyFile();
    expect(key).not.toContain(`${idOf(url)}/1/`);
    expect(stored.equals(bytes)).toBe(true);
    await expectNothingStaged();
  });
});

it('the code that stages in S3 touches no disk', () => {
  const files = ['s3', 'staging', 'storage'].flatMap((folder) =>
    readdirSync(join(REPOSITORY, 'server', folder))
      .filter((name) => folder === 's3' || name.startsWith('s3-'))
      .map((name) => join(REPOSITORY, 'server', folder, name)),
  );
  expect(files.length).toBeGreaterThan(8);
  for (const file of files) expect(readFileSync(file, 'utf8')).not.toMatch(/from 'node:(?:fs|os|child_process)/);
});

const LIMITS = { maxBytes: 1e9, signal: new AbortController().signal, bodyTimeoutMs: 30_000 };

function* pieces(bytes: Buffer): Iterable<Buffer> {
  for (let at = 0; at < bytes.byteLength; at += 64 * 1024) yield bytes.subarray(at, at + 64 * 1024);
}

/** The object into which the stock store put an upload. The stock store has no key prefix. */
async function stockFile({ client, name }: Awaited<ReturnType<typeof testBucket>>, url: string): Promise<Buffer> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket: name, Key: idOf(url) })).catch((error: Error) => {
    throw new Error(error.name, { cause: error });
  });
  return gathered(Body as Readable);
}
