import { createServer } from 'node:http';
import { describe, expect, it } from 'vitest';
import { fetchConfig } from '../../client/element/policy.ts';
import { isResumeRecord, type ResumeRecord } from '../../client/resume/store.ts';
import { parsePolicy } from '../../shared/policy.ts';
import { listenForTest } from '../support/listen.ts';

const RECORD: ResumeRecord = {
  version: 1,
  key: 'film',
  endpoint: 'http://host/files',
  url: 'http://host/files/1',
  name: 'film.mp4',
  size: 100,
  lastModified: 1_700_000_000_000,
  path: '/film.mp4',
  relativePath: 'folder/film.mp4',
  fingerprint: '00000000',
  idempotencyKey: 'key',
  metadata: { filename: 'film.mp4' },
  confirmed: 50,
  checksum: { offset: 50, crc32: 2 ** 32 - 1 },
  createdAt: '2026-01-01T00:00:00.000Z',
  updatedAt: '2026-01-01T00:00:00.000Z',
};

describe('a record read back from a store', () => {
  it('is valid with all fields, or with the required ones', () => {
    expect(isResumeRecord(RECORD)).toBe(true);
    const { path, relativePath, metadata, checksum, ...least } = RECORD;
    expect(isResumeRecord({ ...least, url: null, lastModified: null })).toBe(true);
  });

  it.for([
    ['nothing', undefined],
    ['text', 'film'],
    ['another version', { ...RECORD, version: 2 }],
    ...Object.keys(RECORD)
      .filter((field) => !['path', 'relativePath', 'metadata', 'checksum'].includes(field))
      .map((field) => [`one without its ${field}`, { ...RECORD, [field]: undefined }]),
    ...Object.keys(RECORD).map((field) => [`one whose ${field} is a list`, { ...RECORD, [field]: [1] }]),
    ['one with an address that is none', { ...RECORD, url: 'film' }],
    ['one of less than nothing', { ...RECORD, confirmed: -1 }],
    ['one without metadata', { ...RECORD, metadata: null }],
    ['half a checksum', { ...RECORD, checksum: { offset: 50 } }],
  ] as [string, unknown][])('is invalid when it is %s', ([, value]) => {
    expect(isResumeRecord(value)).toBe(false);
  });
});

describe("the server's configuration", () => {
  const right = { policy: parsePolicy('images'), maxUploadSize: 1000 };
  it.for([
    ['the policy', right, right],
    ['a policy without a limit', { ...right, maxUploadSize: null }, { ...right, maxUploadSize: null }],
    ['nothing', null, undefined],
    ['a policy without types', { ...right, policy: { maxBytes: null } }, undefined],
    ['types of nothing', { ...right, policy: { ...right.policy, types: null } }, undefined],
    ['types that are no text', { ...right, policy: { ...right.policy, types: { png: 1 } } }, undefined],
    ['what is left in words', { ...right, grant: { uploadsLeft: 'many' } }, undefined],
    ['a limit in words', { ...right, maxUploadSize: 'much' }, undefined],
  ] as [string, unknown, unknown][])('is read from %s', async ([, said, heard]) => {
    const origin = await listenForTest(createServer((_request, response) => response.end(JSON.stringify(said))));
    expect(await fetchConfig(`${origin}/config`, {}, AbortSignal.timeout(60_000))).toEqual(heard);
  });
});
