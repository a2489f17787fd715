// S3 refuses the server (expired credentials, too many requests): senders are never told that an upload or a file is gone.
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { expect, inject, it, vi } from 'vitest';
import { videoBytes } from '../support/content.ts';
import { embedLandfallOnS3, MIB, postJson, s3Error } from '../support/s3-landfall.ts';
import { createUpload, idOf, patchUpload, terminateUpload } from '../support/tus-requests.ts';

it.for([
  [400, 'ExpiredToken'],
  [403, 'SignatureDoesNotMatch'],
  [404, 'NoSuchBucket'],
  [404, 'XAdminUserNotFound'],
] as const)('while S3 answers %i %s, every endpoint says "try again", and the log says why', async ([status, reason]) => {
  let isRefusing = false;
  let log = '';
  const write = (line: Buffer, _encoding: string, done: () => void) => {
    log += line.toString();
    done();
  };
  const logger = pino({ level: 'debug' }, new Writable({ write }));
  const { url, files, s3 } = await embedLandfallOnS3(() => (isRefusing ? s3Error(status, reason) : undefined), {}, { logger });
  const bytes = await videoBytes(MIB);
  const { url: file } = await createUpload(files, { length: MIB, name: 'film.mp4' });
  expect((await patchUpload(file, 0, bytes)).status).toBe(204);
  const { url: open } = await createUpload(files, { length: 6 * MIB, name: 'film.mp4' });
  const direct = `${url}/get-upload-url/${idOf(open)}`;
  const isGuarded = inject('s3HeaderGuard') !== null;
  expect((await fetch(direct)).status).toBe(isGuarded ? 200 : 404);
  isRefusing = true;
  expect((await fetch(file)).status).toBe(503);
  if (isGuarded) {
    expect((await fetch(direct)).status).toBe(503);
    expect((await fetch(direct, { method: 'POST' })).status).toBe(503);
    expect((await fetch(`${url}/get-upload-url`, postJson({ length: 6 * MIB }))).status).toBe(503);
  }
  expect((await patchUpload(open, 0, bytes)).status).toBe(503);
  // The ledger alone decides a termination; the bytes are deleted once S3 allows it.
  expect((await terminateUpload(open)).status).toBe(204);
  expect(log).toContain(reason);
  isRefusing = false;
  await vi.waitFor(async () => expect(await s3.keys('staging/')).toEqual([]), { timeout: 60_000, interval: 50 });
  // The log contains no credential that a reader could use.
  const { secretAccessKey } = await s3.client.config.credentials();
  expect([log.includes(secretAccessKey), log.includes('X-Amz-Signature')]).toEqual([false, false]);
});
