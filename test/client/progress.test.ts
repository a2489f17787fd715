// The progress that the client reports is true: it reports bytes as confirmed only when the server has them.
import { expect, test } from 'vitest';
import { reaches, reachesState, startSending } from './sending.ts';

const MIB = 1024 * 1024;

test('the client reports an upload as inspecting once the server has every byte, not when the last byte leaves the device', async () => {
  const release = Promise.withResolvers<void>();
  const check = { name: 'slow', run: () => release.promise.then(() => undefined) };
  const { send, video, proxy, stored } = await startSending(undefined, {}, { checks: [check] });
  const { path, sha256 } = await video(1.5 * MIB);
  proxy.bytesPerSecond = 0.4 * MIB;
  const { handle } = send(path);
  // The system's socket buffers can hold the whole file.
  await reaches(handle, ({ state, sent }) => state === 'uploading' && sent === 1.5 * MIB);
  expect(proxy.bytes).toBeLessThan(1.5 * MIB);
  await reachesState(handle, 'inspecting');
  expect(proxy.bytes).toBe(1.5 * MIB);
  release.resolve();
  await handle.done;
  expect(await stored()).toEqual([sha256]);
});

test("an upload whose last bytes are on the network can be paused, and resumes at the server's offset", async () => {
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
