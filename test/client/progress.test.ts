// What is told of an upload on its way is what is so: with the server is what the server has.
import { expect, test } from 'vitest';
import { reaches, reachesState, startSending } from './sending.ts';

const MIB = 1024 * 1024;

test('an upload is with the server once that has every byte, not when the last of them left this device', async () => {
  const release = Promise.withResolvers<void>();
  const check = { name: 'slow', run: () => release.promise.then(() => undefined) };
  const { send, video, proxy, stored } = await startSending(undefined, {}, { checks: [check] });
  const { path, sha256 } = await video(1.5 * MIB);
  proxy.bytesPerSecond = 0.4 * MIB;
  const { handle } = send(path);
  // The buffers of the system have room for all of it.
  await reaches(handle, ({ state, sent }) => state === 'uploading' && sent === 1.5 * MIB);
  expect(proxy.bytes).toBeLessThan(1.5 * MIB);
  await reachesState(handle, 'inspecting');
  expect(proxy.bytes).toBe(1.5 * MIB);
  release.resolve();
  await handle.done;
  expect(await stored()).toEqual([sha256]);
});

test('an upload whose last bytes are on their way can be paused, and goes on from what the server has', async () => {
  const { send, video, proxy, stored } = await startSending();
  const { path, sha256 } = await video(1.5 * MIB);
  proxy.bytesPerSecond = 0.4 * MIB;
  const { handle } = send(path);
  await reaches(handle, ({ state, sent }) => state === 'uploading' && sent === 1.5 * MIB);
  handle.pause();
  expect(handle.snapshot.state).toBe('paused');
  proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
  handle.resume();
  await handle.done;
  expect(await stored()).toEqual([sha256]);
});
