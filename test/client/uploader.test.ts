import { expect, test } from 'vitest';
import { createUploader } from '../../client/node.ts';
import { parseMetadata } from '../../shared/metadata.ts';
import { startSending } from './sending.ts';

/** Starts a server; the proxy before it records the headers of each creation. */
async function startRecording() {
  const creations: { metadata: Record<string, unknown>; project: unknown }[] = [];
  const sending = await startSending(({ method, headers }) => {
    if (method === 'POST') {
      creations.push({ metadata: Object.fromEntries(parseMetadata(String(headers['upload-metadata']))), project: headers['x-project'] });
    }
    return undefined;
  });
  return { ...sending, creations, endpoint: `${sending.proxy.url}/files` };
}

test('the uploader applies its defaults, except those that an option replaces, and merges metadata key by key', async () => {
  const { endpoint, store, creations, video } = await startRecording();
  const { path } = await video(100_000);
  const { upload } = createUploader({
    endpoint,
    store,
    resume: false,
    headers: { 'X-Project': '42' },
    metadata: { project: '42', caption: 'none' },
  });

  expect((await upload(path).done).name).toBe('film.mp4');
  expect((await upload(path, { name: 'harbour.mp4', metadata: { caption: 'Harbour' }, headers: { 'X-Project': '43' } }).done).name).toBe(
    'harbour.mp4',
  );

  expect(creations).toMatchObject([
    { metadata: { filename: 'film.mp4', project: '42', caption: 'none' }, project: '42' },
    { metadata: { filename: 'harbour.mp4', project: '42', caption: 'Harbour' }, project: '43' },
  ]);
});

test('an option that is undefined keeps the default of the uploader', async () => {
  const { endpoint, store, creations, video } = await startRecording();
  const { path } = await video(100_000);
  const { upload } = createUploader({ endpoint, store, metadata: { project: '42' } });
  // An application without types, or without `exactOptionalPropertyTypes`, may pass undefined.
  await upload(path, { endpoint: undefined, metadata: undefined } as never).done;
  expect(creations).toMatchObject([{ metadata: { project: '42' } }]);
});

test('the uploader creates queues with its defaults', async () => {
  const { endpoint, store, creations, video } = await startRecording();
  const uploader = createUploader({ endpoint, store, concurrency: 1, metadata: { project: '42' } });
  const queue = uploader.queue({ metadata: { set: 'a' } });
  for (const name of ['one.mp4', 'two.mp4']) queue.add((await video(100_000, name)).path);
  let most = 0;
  queue.subscribe(({ uploads }) => {
    most = Math.max(most, uploads.filter(({ state }) => state !== 'queued' && state !== 'accepted').length);
  });
  expect((await queue.idle()).counts.accepted).toBe(2);
  expect(most).toBe(1);
  expect(creations.map(({ metadata }) => metadata)).toMatchObject([
    { filename: 'one.mp4', project: '42', set: 'a' },
    { filename: 'two.mp4', project: '42', set: 'a' },
  ]);
});

test('the uploader throws at once for an invalid default', () => {
  const { upload, queue } = createUploader({ endpoint: 'ftp://uploads.example' });
  expect(() => upload('film.mp4')).toThrow(TypeError);
  expect(() => queue()).toThrow(/not an http address/);
});
