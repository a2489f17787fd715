// What makes two sendings of a file one upload: the same place, name, time, content and metadata.
import { rename, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { UploadOptions } from '../../client/node.ts';
import type { ResumeRecord } from '../../client/resume/store.ts';
import type { LandfallHooks } from '../../server/index.ts';
import { writeVideo } from '../support/content.ts';
import { reaches, reachesState, type Sending, startSending } from './sending.ts';

const MIB = 1024 * 1024;

interface Described {
  project?: string | undefined;
  relativePath?: string | undefined;
}

/** A server whose accepted uploads are collected as the sender described them. */
async function startCollecting(): Promise<{ sending: Sending; accepted: Described[] }> {
  const accepted: Described[] = [];
  const onEvent: LandfallHooks['onEvent'] = ({ type, data }) => {
    if (type !== 'upload.accepted') return;
    const { metadata, relativePath } = data;
    accepted.push({ project: metadata?.project, relativePath });
  };
  return { sending: await startSending(undefined, {}, { onEvent }), accepted };
}

/** Sends until a quarter of a file of 4 MiB is confirmed, then stops as an ended process does. Resolves with the record. */
async function interrupt(sending: Sending, path: string, options: Partial<UploadOptions> = {}): Promise<ResumeRecord> {
  sending.proxy.bytesPerSecond = 8 * MIB;
  const before = new Set((await sending.store.list()).map(({ key }) => key));
  const { handle } = sending.send(path, { chunkSize: 256 * 1024, ...options });
  await reaches(handle, ({ confirmed }) => confirmed >= MIB);
  handle.pause();
  const written = async () => (await sending.store.list()).find(({ key }) => !before.has(key));
  await expect.poll(async () => (await written())?.confirmed).toBe(handle.snapshot.confirmed);
  sending.proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
  const record = await written();
  if (record === undefined) throw new Error('There is no record.');
  return record;
}

test.each<[string, Partial<UploadOptions>, Partial<UploadOptions>, Described[]]>([
  ['projects', { metadata: { project: 'one' } }, { metadata: { project: 'two' } }, [{ project: 'one' }, { project: 'two' }]],
  [
    'folders',
    { relativePath: 'day 1/film.mp4' },
    { relativePath: 'day 2/film.mp4' },
    [{ relativePath: 'day 1/film.mp4' }, { relativePath: 'day 2/film.mp4' }],
  ],
])('one file for two %s, sent at the same time, is stored for both', async (_, first, second, expected) => {
  const { sending, accepted } = await startCollecting();
  const { path } = await sending.video(4 * MIB);
  sending.proxy.bytesPerSecond = 4 * MIB;
  const one = sending.send(path, first);
  await reaches(one.handle, ({ sent }) => sent > MIB);
  const two = sending.send(path, second);
  const results = await Promise.all([one.handle.done, two.handle.done]);
  expect(results[0].id).not.toBe(results[1].id);
  expect(two.told.some(({ waiting }) => waiting?.reason === 'elsewhere')).toBe(false);
  await expect.poll(() => accepted).toHaveLength(2);
  expect(accepted).toEqual(expect.arrayContaining(expected.map((each) => expect.objectContaining(each))));
});

test('an interrupted upload is resumed with its own metadata, and by no upload with other metadata', async () => {
  const { sending, accepted } = await startCollecting();
  const { path } = await sending.video(4 * MIB);
  const record = await interrupt(sending, path, { metadata: { project: 'one', note: 'a' } });
  const other = sending.send(path, { metadata: { project: 'two', note: 'a' } });
  expect(await other.handle.done).toMatchObject({ resumed: false });
  expect(await sending.store.list()).toMatchObject([{ key: record.key, url: record.url }]);
  const same = sending.send(path, { metadata: { note: 'a', project: 'one' } });
  expect(await same.handle.done).toMatchObject({ resumed: true });
  await expect.poll(() => accepted.map(({ project }) => project)).toEqual(['two', 'one']);
  expect(await sending.store.list()).toEqual([]);
});

test('an interrupted upload is resumed with the metadata of its record', async () => {
  const { sending } = await startCollecting();
  const { path } = await sending.video(4 * MIB);
  const { metadata = {} } = await interrupt(sending, path, { metadata: { project: 'one' }, relativePath: 'day 1/film.mp4' });
  expect(await sending.send(path, { metadata }).handle.done).toMatchObject({ resumed: true });
});

test('a file with other content under the same name, size and time waits for the first, and leaves its record alone', async () => {
  const { sending } = await startCollecting();
  const { path, sha256 } = await sending.video(8 * MIB);
  await utimes(path, 1_700_000_000, 1_700_000_000);
  sending.proxy.bytesPerSecond = 8 * MIB;
  const one = sending.send(path, { chunkSize: MIB });
  await reaches(one.handle, ({ confirmed }) => confirmed > MIB);
  sending.proxy.bytesPerSecond = 64 * 1024;
  const other = join(sending.directory, 'other.mp4');
  const otherSha256 = await writeVideo(other, 8 * MIB, 2);
  await utimes(other, 1_700_000_000, 1_700_000_000);
  await rename(other, path);
  const two = sending.send(path, { chunkSize: MIB });
  await reachesState(two.handle, 'waiting');
  expect(await sending.store.list()).toHaveLength(1);
  sending.proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
  const results = await Promise.all([one.handle.done, two.handle.done]);
  expect(results[0].id).not.toBe(results[1].id);
  expect((await sending.stored()).sort()).toEqual([sha256, otherSha256].sort());
});
