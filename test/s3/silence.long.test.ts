// An S3 that stops answering: no request may wait for it forever.
import { expect, it } from 'vitest';
import { videoBytes } from '../support/content.ts';
import type { Exchange, Fault } from '../support/fault-proxy.ts';
import { embedLandfallOnS3, MIB, operationOf, partNumberOf } from '../support/s3-landfall.ts';
import { createUpload, patchUpload } from '../support/tus-requests.ts';
import { zip } from '../support/zip-fixtures.ts';

const TIMEOUT_MS = 1000;

/** Applies the fault to the first request that matches. */
function once(isMeant: (exchange: Exchange) => boolean, fault: Fault) {
  const seen = { count: 0 };
  const plan = (exchange: Exchange) => (isMeant(exchange) && seen.count++ === 0 ? fault : undefined);
  return { plan, seen };
}

it.for<[string, (exchange: Exchange) => boolean, Fault]>([
  ['in the middle of a part', (exchange) => operationOf(exchange) === 'UploadPart' && partNumberOf(exchange) === 2, stall(MIB)],
  ['before a part', (exchange) => operationOf(exchange) === 'UploadPart' && partNumberOf(exchange) === 1, stall(0)],
  ['in a completion', (exchange) => operationOf(exchange) === 'CompleteMultipartUpload', stall(0)],
  ['in a copy', (exchange) => operationOf(exchange) === 'CopyObject', stall(0)],
  ['in a listing', (exchange) => operationOf(exchange) === 'ListObjects', stall(0)],
])('a request that stays silent %s is repeated', async ([, isMeant, fault]) => {
  const { plan, seen } = once(isMeant, fault);
  const { files, onlyFile, expectNothingStaged } = await embedLandfallOnS3(plan, { s3Timeout: TIMEOUT_MS });
  const bytes = await videoBytes(13 * MIB);
  const { url } = await createUpload(files, { length: bytes.byteLength, name: 'film.mp4' });
  expect(await patchUpload(url, 0, bytes)).toMatchObject({ status: 204, offset: bytes.byteLength });
  expect(seen.count).toBeGreaterThanOrEqual(2);
  expect((await onlyFile()).bytes.equals(bytes)).toBe(true);
  await expectNothingStaged();
});

it.for(['CopyObject', 'CompleteMultipartUpload'])('a request that S3 answers late is not repeated: %s', async (operation) => {
  const { plan, seen } = once((exchange) => operationOf(exchange) === operation, { kind: 'delay', ms: 3 * TIMEOUT_MS });
  const { files, onlyFile } = await embedLandfallOnS3(plan, { s3Timeout: TIMEOUT_MS });
  const bytes = await videoBytes(6 * MIB);
  const { url } = await createUpload(files, { length: bytes.byteLength, name: 'film.mp4' });
  expect(await patchUpload(url, 0, bytes)).toMatchObject({ status: 204, offset: bytes.byteLength });
  expect(seen.count).toBe(1);
  expect((await onlyFile()).bytes.equals(bytes)).toBe(true);
});

it.for(['stall', 'rst'] as const)('a read by a check continues after its answer breaks off: %s', async (how) => {
  const { plan, seen } = once((exchange) => operationOf(exchange) === 'GetObject' && exchange.path.includes('/bytes'), {
    kind: 'cut-response',
    afterBytes: 10,
    how,
  });
  const { files, onlyFile } = await embedLandfallOnS3(plan, { s3Timeout: TIMEOUT_MS });
  const bytes = new Uint8Array(zip([{ name: 'a.txt', content: Buffer.alloc(6 * MIB, 'text'), isStored: true }]));
  const { url } = await createUpload(files, { length: bytes.byteLength, name: 'a.zip' });
  expect(await patchUpload(url, 0, bytes)).toMatchObject({ status: 204, offset: bytes.byteLength });
  expect(seen.count).toBeGreaterThanOrEqual(2);
  expect((await onlyFile()).bytes.equals(bytes)).toBe(true);
});

function stall(afterBytes: number): Fault {
  return { kind: 'stall', afterBytes };
}
