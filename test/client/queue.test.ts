import { describe, expect, test } from 'vitest';
import { createQueue, type QueueOptions, type QueueSnapshot } from '../../client/node.ts';
import { sha256, videoBytes } from '../support/content.ts';
import { type Sending, startSending } from './sending.ts';

const MIB = 1024 * 1024;

function queueOf({ proxy, store }: Sending, options: Partial<QueueOptions> = {}) {
  const queue = createQueue({ endpoint: `${proxy.url}/files`, store, ...options });
  const told: QueueSnapshot[] = [];
  queue.subscribe((snapshot) => told.push(snapshot));
  return { queue, told };
}

async function videos(sending: Sending, count: number, length = 200_000): Promise<string[]> {
  return Promise.all(Array.from({ length: count }, async (_, index) => (await sending.video(length, `film-${index}.mp4`)).path));
}

const isActive = ({ state }: { state: string }) => ['preparing', 'uploading', 'inspecting', 'waiting'].includes(state);

async function reaches(queue: ReturnType<typeof queueOf>['queue'], matches: (snapshot: QueueSnapshot) => boolean): Promise<QueueSnapshot> {
  return new Promise((resolve) => {
    const stop = queue.subscribe((snapshot) => {
      if (!matches(snapshot)) return;
      queueMicrotask(() => stop());
      resolve(snapshot);
    });
  });
}

describe('a queue', () => {
  test('uploads up to its concurrency at once, in order, and reports the sums', async () => {
    const sending = await startSending();
    const paths = await videos(sending, 6);
    const { queue, told } = queueOf(sending, { concurrency: 2 });
    const started: string[] = [];
    for (const path of paths) {
      const handle = queue.add(path);
      handle.subscribe(({ state, name }) => {
        if (state === 'preparing' && !started.includes(name)) started.push(name);
      });
    }
    const end = await queue.idle();
    expect(started).toEqual(paths.map((path) => path.split('/').at(-1)));
    expect(Math.max(...told.map(({ uploads }) => uploads.filter(isActive).length))).toBe(2);
    expect(end).toMatchObject({ sent: 1_200_000, confirmed: 1_200_000, size: 1_200_000, isIdle: true, etaSeconds: null });
    expect(end.counts).toMatchObject({ accepted: 6, queued: 0, failed: 0 });
    expect(await sending.stored()).toHaveLength(6);
    expect(told.every((snapshot) => Object.isFrozen(snapshot))).toBe(true);
  });

  test('sends bytes as they were when they were added, also when it tries again', async () => {
    let isForbidden = true;
    const sending = await startSending(({ method, nth }) =>
      isForbidden && method === 'POST' && nth === 2 ? { kind: 'answer', status: 403 } : undefined,
    );
    const { queue } = queueOf(sending, { concurrency: 1 });
    const bytes = await videoBytes(100_000);
    const sum = sha256(bytes);
    queue.add(bytes, { name: 'one.mp4' });
    const two = queue.add(bytes, { name: 'two.mp4' });
    bytes.fill(0);
    expect((await queue.idle()).counts).toMatchObject({ accepted: 1, failed: 1 });
    isForbidden = false;
    await queue.retry(two.snapshot.id)?.done;
    expect(await sending.stored()).toEqual([sum, sum]);
  });

  test('keeps its own option where that of a file is undefined', async () => {
    const sending = await startSending();
    const [path = ''] = await videos(sending, 1);
    const { queue } = queueOf(sending, { headers: { 'X-Project': '42' } });
    await queue.add(path, { endpoint: undefined, headers: undefined } as never).done;
    expect(sending.proxy.exchanges[0]?.headers['x-project']).toBe('42');
  });

  test('starts the upload that was moved to the front next', async () => {
    const sending = await startSending();
    const paths = await videos(sending, 4, MIB);
    sending.proxy.bytesPerSecond = 2 * MIB;
    const { queue } = queueOf(sending, { concurrency: 1 });
    const handles = paths.map((path) => queue.add(path));
    await reaches(queue, ({ counts }) => counts.uploading === 1);
    const last = handles[3]?.snapshot.id ?? '';
    queue.move(last, 0);
    expect(queue.snapshot.uploads[0]?.id).toBe(last);
    const { uploads } = await reaches(queue, ({ counts }) => counts.accepted === 2);
    expect(uploads.filter(({ state }) => state === 'accepted').map(({ name }) => name)).toEqual(['film-3.mp4', 'film-0.mp4']);
    await queue.idle();
  });

  test('pauses and resumes all uploads, also those added meanwhile', async () => {
    const sending = await startSending();
    // More than the system's socket buffers hold: bytes in them count as sent.
    const paths = await videos(sending, 4, 12 * MIB);
    sending.proxy.bytesPerSecond = 2 * MIB;
    const { queue } = queueOf(sending, { concurrency: 2 });
    for (const path of paths.slice(0, 3)) queue.add(path);
    await reaches(queue, ({ counts }) => counts.uploading === 2);
    queue.pause();
    queue.add(paths[3] ?? '');
    expect(queue.snapshot).toMatchObject({ isPaused: true, isIdle: false, counts: { paused: 4 } });
    sending.proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    queue.resume();
    expect((await queue.idle()).counts.accepted).toBe(4);
    expect(await sending.stored()).toHaveLength(4);
  });

  test('continues with the other uploads when one is paused, waits or is refused', async () => {
    const sending = await startSending();
    const [first = '', second = '', third = ''] = await videos(sending, 3, 2 * MIB);
    const { queue } = queueOf(sending, { concurrency: 1 });
    const one = queue.add(first);
    const refused = queue.add(Buffer.from('MZ program'), { name: 'photo.jpg' });
    queue.add(second);
    queue.add(third);
    one.pause();
    await reaches(queue, ({ counts }) => counts.accepted === 2);
    expect(refused.snapshot.state).toBe('rejected');
    expect(queue.snapshot.counts).toMatchObject({ paused: 1, rejected: 1, accepted: 2 });
    one.resume();
    await queue.idle();
    expect(one.snapshot.state).toBe('accepted');
  });

  test('leaves refused, failed and cancelled uploads out of the sums', async () => {
    const sending = await startSending();
    const [path = ''] = await videos(sending, 1);
    const { queue } = queueOf(sending);
    queue.add(path);
    queue.add(Buffer.from('MZ program'), { name: 'photo.jpg' });
    queue.add('/nonexistent/film.mp4');
    await queue.add(path, { name: 'copy.mp4' }).cancel();
    const { sent, size, counts } = await queue.idle();
    expect({ sent, size }).toEqual({ sent: 200_000, size: 200_000 });
    expect(counts).toMatchObject({ accepted: 1, rejected: 1, failed: 1, cancelled: 1 });
  });
});

test('a queue of ten thousand files sends them in order, with few notifications', async () => {
  const { queue, told } = queueOf(await startSending(), { concurrency: 2 });
  const started: string[] = [];
  const handles = Array.from({ length: 10_000 }, (_, index) => queue.add(`/nonexistent/${index}`));
  for (const handle of handles) {
    handle.subscribe(({ state, name }) => {
      if (state === 'preparing') started.push(name);
    });
  }
  const { counts, uploads } = await queue.idle();
  expect(counts.failed).toBe(10_000);
  expect(started).toEqual(uploads.map(({ name }) => name));
  for (const handle of handles) expect(queue.get(handle.snapshot.id)).toBe(handle);
  expect(handles.map(({ snapshot }) => queue.remove(snapshot.id))).not.toContain(false);
  expect(queue.snapshot.uploads).toEqual([]);
  // A notification looks at all files: one for each of their thirty thousand changes would take minutes.
  expect(told.length).toBeLessThan(1000);
});

describe("a queue's retry", () => {
  test('replaces the handle of a failed upload by a new one, which resumes', async () => {
    const sending = await startSending();
    const [path = '', other = ''] = await videos(sending, 2, 4 * MIB);
    let isForbidden = true;
    sending.proxy.onRequest = ({ method, nth }) => {
      if (method === 'PATCH' && nth === 1) return { kind: 'cut', afterBytes: 2 * MIB, how: 'rst' };
      return method === 'HEAD' && isForbidden ? { kind: 'answer', status: 403 } : undefined;
    };
    const { queue } = queueOf(sending, { concurrency: 1 });
    const failed = queue.add(path);
    queue.add(other);
    await queue.idle();
    expect(failed.snapshot).toMatchObject({ state: 'failed', error: { code: 'ERR_FORBIDDEN' } });
    isForbidden = false;
    const renewed = queue.retry(failed.snapshot.id);
    expect(queue.snapshot.uploads[0]?.id).toBe(renewed?.snapshot.id);
    await queue.idle();
    expect(renewed?.snapshot).toMatchObject({ state: 'accepted' });
    expect(renewed?.snapshot.resumedFrom).toBeGreaterThan(0);
    expect(await sending.stored()).toHaveLength(2);
  });

  test('changes nothing for an upload that is in progress, accepted or unknown', async () => {
    const sending = await startSending();
    const [path = ''] = await videos(sending, 1);
    const { queue } = queueOf(sending);
    const handle = queue.add(path);
    expect(queue.retry(handle.snapshot.id)).toBe(handle);
    await queue.idle();
    expect(queue.retry(handle.snapshot.id)).toBe(handle);
    expect(queue.retry('unknown')).toBeUndefined();
  });
});

test('a queue removes only uploads that have ended from its list', async () => {
  const sending = await startSending();
  const [path = ''] = await videos(sending, 1);
  const { queue } = queueOf(sending);
  const handle = queue.add(path);
  expect(queue.get(handle.snapshot.id)).toBe(handle);
  expect(queue.remove(handle.snapshot.id)).toBe(false);
  await queue.idle();
  expect(queue.remove(handle.snapshot.id)).toBe(true);
  expect(queue.snapshot).toMatchObject({ uploads: [], isIdle: true, size: 0 });
  expect(queue.remove(handle.snapshot.id)).toBe(false);
});

test("a queue's cancel ends all its uploads", async () => {
  const sending = await startSending();
  const paths = await videos(sending, 3, 12 * MIB);
  sending.proxy.bytesPerSecond = 2 * MIB;
  const { queue } = queueOf(sending, { concurrency: 2 });
  for (const path of paths) queue.add(path);
  await reaches(queue, ({ counts }) => counts.uploading === 2);
  await queue.cancel({ deleteRemote: true });
  expect(queue.snapshot).toMatchObject({ isIdle: true, counts: { cancelled: 3 } });
  expect(await sending.store.list()).toEqual([]);
});

test('createQueue throws at once for invalid options', () => {
  expect(() => createQueue({ endpoint: 'nowhere' })).toThrow(TypeError);
  for (const concurrency of [0, Number.NaN, '2' as never])
    expect(() => createQueue({ endpoint: 'http://host/files', concurrency })).toThrow(TypeError);
});
