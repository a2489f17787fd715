// Bytes that change on the network are detected, sent again, and never accepted.
import { createReadStream } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { failureOf, startSending } from './sending.ts';

const MIB = 1024 * 1024;

const checksumOf = ({ headers }: { headers: Record<string, unknown> }) => headers['upload-checksum'];

describe('a byte that is flipped on the network', () => {
  test('in a chunk makes the client send that chunk again, and the server stores the right file', async () => {
    const { send, video, stored, proxy } = await startSending(({ method, nth }) =>
      method === 'PATCH' && (nth === 2 || nth === 3) ? { kind: 'flip', atByte: 700_000 } : undefined,
    );
    const { path, sha256: sum } = await video(3.5 * MIB);
    const { handle, told } = send(path, { chunkSize: MIB });
    expect(await handle.done).toMatchObject({ size: 3.5 * MIB, checksum: expect.stringMatching(/^crc32:/) });
    expect(await stored()).toEqual([sum]);
    const patches = proxy.exchanges.filter(({ method }) => method === 'PATCH');
    expect(patches.map(({ status, headers }) => [status, Number(headers['upload-offset']) / MIB])).toEqual([
      [204, 0],
      [460, 1],
      [460, 1],
      [204, 1],
      [204, 2],
      [204, 3],
    ]);
    expect(patches.map(checksumOf)).not.toContain(undefined);
    expect(told.find(({ state }) => state === 'waiting')?.error?.code).toBe('ERR_CHECKSUM_MISMATCH');
  });

  test('is corrected in a file of a single chunk, and in a stream of unknown length', async () => {
    const { send, video, stored } = await startSending(({ method, nth }) =>
      method === 'PATCH' && nth === 1 ? { kind: 'flip', atByte: 99_999 } : undefined,
    );
    const { path, sha256: sum } = await video(100_000);
    await send(path, { chunkSize: MIB }).handle.done;
    expect(await stored()).toEqual([sum]);
    const streaming = await startSending(({ method, nth }) => (method === 'PATCH' && nth === 2 ? { kind: 'flip', atByte: 0 } : undefined));
    await streaming.send({ stream: createReadStream(path), name: 'film.mp4' }, { chunkSize: 64 * 1024 }).handle.done;
    expect(await streaming.stored()).toEqual([sum]);
  });

  test('in a file sent in one body is detected at the end: the server refuses the file and does not store it', async () => {
    const { send, video, stored, store } = await startSending(({ method, nth }) =>
      method === 'PATCH' && nth === 1 ? { kind: 'flip', atByte: 2 * MIB } : undefined,
    );
    const { path } = await video(3 * MIB);
    expect(await failureOf(send(path).handle)).toMatchObject({ state: 'rejected', code: 'ERR_FILE_DAMAGED' });
    expect(await stored()).toEqual([]);
    expect(await store.list()).toEqual([]);
  });

  test('on a connection that breaks, where chunks carry no checksum, is detected at the end', async () => {
    const { send, video, stored, proxy } = await startSending(({ method, nth }) => {
      if (method !== 'PATCH') return undefined;
      if (nth === 1) return { kind: 'cut', afterBytes: 500_000, how: 'rst' };
      return nth === 2 ? { kind: 'flip', atByte: 1000 } : undefined;
    });
    const { path } = await video(3 * MIB);
    expect(await failureOf(send(path, { chunkSize: MIB }).handle)).toMatchObject({ state: 'rejected', code: 'ERR_FILE_DAMAGED' });
    expect(await stored()).toEqual([]);
    const patches = proxy.exchanges.filter(({ method }) => method === 'PATCH').map(checksumOf);
    expect(patches).toEqual([expect.stringMatching(/^crc32 /), ...patches.slice(1).map(() => undefined)]);
  });
});

test('the client sends no checksum when the application disables checksums', async () => {
  const { send, video, proxy } = await startSending();
  const { path } = await video(300_000);
  await send(path, { checksum: false }).handle.done;
  const names = proxy.exchanges.flatMap(({ headers }) => Object.keys(headers));
  expect(names.filter((name) => name.endsWith('checksum'))).toEqual([]);
});
