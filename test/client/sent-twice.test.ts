// Two handles with one file: only the one that sends may end the upload.
import { expect, test } from 'vitest';
import { forget, interrupted } from '../../client/node.ts';
import { failureOf, reaches, reachesState, type Sending, startSending, type Watched } from './sending.ts';

const MIB = 1024 * 1024;

/** One handle sends the file, another waits for it. */
async function sendTwice(sending: Sending, length: number): Promise<{ path: string; sha256: string; one: Watched; two: Watched }> {
  const { path, sha256 } = await sending.video(length);
  sending.proxy.bytesPerSecond = 4 * MIB;
  const one = sending.send(path, { chunkSize: MIB });
  await reaches(one.handle, ({ confirmed }) => confirmed >= MIB);
  // So slow that it does not end by itself.
  sending.proxy.bytesPerSecond = 64 * 1024;
  const two = sending.send(path, { chunkSize: MIB });
  await reachesState(two.handle, 'waiting');
  return { path, sha256, one, two };
}

test.each([true, false])(
  'cancelling the waiting handle (deleteRemote: %s) changes nothing for the one that sends',
  async (deleteRemote) => {
    const sending = await startSending();
    const { sha256, one, two } = await sendTwice(sending, 4 * MIB);
    await two.handle.cancel({ deleteRemote });
    expect(await sending.store.list()).toHaveLength(1);
    sending.proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    await one.handle.done;
    expect(await failureOf(two.handle)).toMatchObject({ state: 'cancelled' });
    expect(one.told.filter(({ waiting }) => waiting !== undefined)).toEqual([]);
    expect(sending.log().filter((line) => !line.startsWith('PATCH') && !line.startsWith('GET'))).toEqual(['POST 201']);
    expect(await sending.stored()).toEqual([sha256]);
  },
);

test('pausing the waiting handle leaves the record as the sending one wrote it', async () => {
  const sending = await startSending();
  const { one, two } = await sendTwice(sending, 16 * MIB);
  sending.proxy.onRequest = () => ({ kind: 'answer', status: 503, headers: { 'Retry-After': '60' } });
  sending.proxy.cut();
  await reachesState(one.handle, 'waiting');
  const before = await sending.store.list();
  two.handle.pause();
  two.handle.resume();
  await reachesState(two.handle, 'waiting');
  expect(await sending.store.list()).toEqual(before);
});

test('when the sending handle is cancelled and the upload deleted, the waiting one ends cancelled', async () => {
  const sending = await startSending();
  const { one, two } = await sendTwice(sending, 16 * MIB);
  await one.handle.cancel({ deleteRemote: true });
  expect(await failureOf(two.handle)).toMatchObject({ state: 'cancelled', code: 'ERR_CANCELLED' });
  expect(sending.log().filter((line) => line.startsWith('POST'))).toEqual(['POST 201']);
  expect(await sending.stored()).toEqual([]);
  expect(await sending.store.list()).toEqual([]);
});

test('when the sending handle is cancelled and the upload stays, the waiting one resumes it', async () => {
  const sending = await startSending();
  const { sha256, one, two } = await sendTwice(sending, 4 * MIB);
  await one.handle.cancel();
  sending.proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
  expect(await two.handle.done).toMatchObject({ resumed: true });
  expect(await sending.stored()).toEqual([sha256]);
});

test('cancelling a paused handle changes nothing for the one that sends meanwhile', async () => {
  const sending = await startSending();
  const { sha256, one, two } = await sendTwice(sending, 8 * MIB);
  one.handle.pause();
  await reachesState(two.handle, 'uploading');
  await one.handle.cancel({ deleteRemote: true });
  sending.proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
  await two.handle.done;
  expect(sending.log().filter((line) => line.startsWith('DELETE'))).toEqual([]);
  expect(await sending.stored()).toEqual([sha256]);
});

test('a handle that a listener cancels as soon as it waits ends at once', async () => {
  const sending = await startSending();
  const { path } = await sending.video(16 * MIB);
  sending.proxy.bytesPerSecond = 4 * MIB;
  const one = sending.send(path);
  await reaches(one.handle, ({ sent }) => sent > MIB);
  sending.proxy.bytesPerSecond = 64 * 1024;
  const two = sending.send(path);
  const cancelled = new Promise<void>((resolve, reject) => {
    two.handle.subscribe(({ waiting }) => {
      if (waiting?.reason === 'elsewhere') two.handle.cancel({ deleteRemote: true }).then(resolve, reject);
    });
  });
  await cancelled;
  expect(one.handle.snapshot.state).toBe('uploading');
});

test('the record of an upload that is being sent cannot be forgotten', async () => {
  const sending = await startSending();
  const { sha256, one, two } = await sendTwice(sending, 16 * MIB);
  await two.handle.cancel();
  const [record] = await interrupted(sending.store);
  if (record === undefined) throw new Error('There is no record.');
  await expect(forget(record, { store: sending.store, deleteRemote: true })).rejects.toMatchObject({ code: 'ERR_UPLOAD_LOCKED' });
  sending.proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
  await one.handle.done;
  expect(await sending.stored()).toEqual([sha256]);
});

test('two handles that start at the same moment send the file once', async () => {
  const sending = await startSending();
  const { path, sha256 } = await sending.video(8 * MIB);
  const handles = [sending.send(path), sending.send(path), sending.send(path)].map(({ handle }) => handle);
  const results = await Promise.all(handles.map(({ done }) => done));
  expect(new Set(results.map(({ id }) => id)).size).toBe(1);
  expect(await sending.stored()).toEqual([sha256]);
});
