// The offset is a promise: whatever happens to an upload, the server never reports a lower offset than it acknowledged.
import { describe, expect, it, onTestFinished } from 'vitest';
import { type EmbeddedLandfall, embedLandfall } from '../support/landfall-embedded.ts';
import { createUpload, headUpload, patchUpload, readRecord, terminateUpload } from '../support/tus-requests.ts';

/** Fewer bytes than the early inspection needs. */
const ACKNOWLEDGED = 3758;
const REST = 100;
const LENGTH = ACKNOWLEDGED + REST;
const TEXT = Buffer.alloc(LENGTH, 'text\n');

type Length = 'known' | 'deferred';

interface End {
  name: string;
  /** A check delays the verdict until the test releases it. */
  isGated?: boolean;
  /** Brings the upload into the named state, and resolves with the statuses of the answers. */
  bring(url: string, length: Length): Promise<number[]>;
  statuses: number[];
  state: string;
  /** The status of HEAD, which reports no offset when the upload is gone. */
  head: number;
}

const finish = (length: Length, url: string, offset: number) =>
  length === 'known'
    ? patchUpload(url, offset, TEXT.subarray(offset))
    : // The server has acknowledged every byte; it delays the answer to the declared length.
      patchUpload(url, LENGTH, new Uint8Array(), { 'Upload-Length': String(LENGTH) });

const ENDS: End[] = [
  {
    name: 'refused by its first bytes',
    bring: async (url) => [(await patchUpload(url, ACKNOWLEDGED, Buffer.alloc(1000, 'x'))).status, (await patchUpload(url, 0, 'x')).status],
    statuses: [422, 422],
    state: 'rejected',
    head: 200,
  },
  {
    name: 'under inspection',
    isGated: true,
    async bring(url, length) {
      if (length === 'deferred') await patchUpload(url, ACKNOWLEDGED, TEXT.subarray(ACKNOWLEDGED));
      return [(await finish(length, url, ACKNOWLEDGED)).status, (await patchUpload(url, 0, 'x')).status];
    },
    statuses: [503, 409],
    state: 'inspecting',
    head: 200,
  },
  {
    name: 'refused by its inspection',
    async bring(url, length) {
      if (length === 'deferred') await patchUpload(url, ACKNOWLEDGED, TEXT.subarray(ACKNOWLEDGED));
      return [(await finish(length, url, ACKNOWLEDGED)).status];
    },
    statuses: [422],
    state: 'rejected',
    head: 200,
  },
  {
    name: 'cancelled',
    bring: async (url) => [(await terminateUpload(url)).status, (await patchUpload(url, ACKNOWLEDGED, 'x')).status],
    statuses: [204, 410],
    state: 'terminated',
    head: 410,
  },
  {
    name: 'sent a PATCH at another offset',
    bring: async (url) => [(await patchUpload(url, 0, 'x')).status],
    statuses: [409],
    state: 'receiving',
    head: 200,
  },
];

describe.for(['chunk', 'finish'] as const)('an offset, with durability %s,', (durability) => {
  async function serve({ isGated }: End): Promise<EmbeddedLandfall> {
    if (!isGated) return embedLandfall({ durability });
    const gate = Promise.withResolvers<undefined>();
    const server = await embedLandfall({ durability, patience: 100 }, { checks: [{ name: 'gate', run: () => gate.promise }] });
    onTestFinished(() => gate.resolve(undefined));
    return server;
  }

  it.for(ENDS.flatMap((end) => (['known', 'deferred'] as const).map((length) => ({ ...end, length }))))(
    'of an upload of $length length does not go back when the upload is $name',
    async ({ length, ...end }) => {
      const server = await serve(end);
      // Only the upload under inspection has the type of its name; the others are refused because they have not.
      const name = end.state === 'rejected' ? 'a.png' : 'a.txt';
      const isLong = end.name === 'refused by its first bytes';
      const headers = length === 'deferred' ? { 'Upload-Defer-Length': '1' } : { 'Upload-Length': String(isLong ? 20_000 : LENGTH) };
      const { url } = await createUpload(server.files, { name, headers });
      expect(await patchUpload(url, 0, TEXT.subarray(0, ACKNOWLEDGED))).toMatchObject({ status: 204, offset: ACKNOWLEDGED });
      expect(await end.bring(url, length)).toEqual(end.statuses);
      const shown = await headUpload(url);
      expect(shown.status).toBe(end.head);
      if (end.head === 200) expect(shown.offset).toBeGreaterThanOrEqual(ACKNOWLEDGED);
      const record = await readRecord(url);
      expect(record.state).toBe(end.state);
      expect(record.offset).toBeGreaterThanOrEqual(ACKNOWLEDGED);
      if (end.head === 200) expect(record.offset).toBe(shown.offset);
    },
  );
});
