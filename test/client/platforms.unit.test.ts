import { expect, onTestFinished, test, vi } from 'vitest';
import { browserPlatform } from '../../client/browser/platform.ts';
import { browserSource } from '../../client/browser/source.ts';
import { createQueue, upload } from '../../client/index.ts';
import { nodePlatform } from '../../client/node/platform.ts';
import { nodeStore, stateDirectory } from '../../client/node/store.ts';
import { fingerprintOf } from '../../client/resume/journal.ts';
import type { ResumeRecord } from '../../client/resume/store.ts';
import { DEFAULT_TIMEOUTS } from '../../client/transfer/guarded-http.ts';

const MIB = 1024 * 1024;
const MINUTE = 60_000;

test('browsers give up after 10 minutes without progress, Node after 30; chunks are 1 to 32 MiB, and in Node one body may hold the whole file', () => {
  expect(browserPlatform.budgetMs).toBe(10 * MINUTE);
  expect(nodePlatform.budgetMs).toBe(30 * MINUTE);
  expect(browserPlatform.chunks).toEqual({ startBytes: 8 * MIB, minBytes: MIB, maxBytes: 32 * MIB, wholeBody: false });
  expect(nodePlatform.chunks).toEqual({ ...browserPlatform.chunks, wholeBody: true });
});

test('a request waits 30 s for a connection, 30 s for a byte to move, and 120 s for the answer after the last', () => {
  expect(DEFAULT_TIMEOUTS).toEqual({ connectMs: 30_000, stallMs: 30_000, answerMs: 120_000 });
});

test('the client recognises a file by its head, its middle and its tail', async () => {
  const fingerprint = async (changed?: number) => {
    const bytes = new Uint8Array(MIB);
    if (changed !== undefined) bytes[changed] = 1;
    return fingerprintOf(await browserSource(bytes).open(), browserPlatform.crc32);
  };
  const whole = await fingerprint();
  expect(await fingerprint()).toBe(whole);
  for (const at of [0, 65_535, MIB / 2, MIB - 65_536, MIB - 1]) expect(await fingerprint(at), String(at)).not.toBe(whole);
});

const RECORD: ResumeRecord = {
  version: 1,
  key: 'film',
  endpoint: 'http://host/files',
  url: null,
  name: 'film.mp4',
  size: 1,
  lastModified: null,
  fingerprint: '',
  idempotencyKey: 'key',
  confirmed: 0,
  createdAt: '2026-01-01T00:00:00.000Z',
  updatedAt: '2026-01-01T00:00:00.000Z',
};

test('a browser sends bytes as they were when the upload was requested', async () => {
  const bytes = new Uint8Array([1, 2, 3]);
  const reference = browserSource(bytes);
  bytes.fill(0);
  const source = await reference.open();
  expect(await source.read(0, 3)).toEqual(new Uint8Array([1, 2, 3]));
});

test.each([[{}], [{ endpoint: null }], [{ endpoint: '' }], [{ endpoint: 7 }]])('in a page, %j is no address of a server', (options) => {
  expect(() => upload(new Blob(), options as never)).toThrow(TypeError);
  expect(() => createQueue(options as never)).toThrow('`endpoint`');
});

test.each([
  ['linux', {}, '/home/me/.local/state/landfall'],
  ['linux', { XDG_STATE_HOME: '/state' }, '/state/landfall'],
  ['linux', { XDG_STATE_HOME: 'relative' }, '/home/me/.local/state/landfall'],
  ['darwin', {}, '/home/me/Library/Application Support/Landfall'],
  ['win32', {}, '/home/me/AppData/Local/Landfall'],
  ['win32', { LOCALAPPDATA: '/local' }, '/local/Landfall'],
])('on %s with %j, records are in %s', (platform, environment, directory) => {
  vi.stubEnv('HOME', '/home/me');
  onTestFinished(() => void vi.unstubAllEnvs());
  expect(stateDirectory(environment, platform)).toBe(directory);
});

test('without a home directory there is no record, and storing one fails', async () => {
  vi.stubEnv('HOME', '');
  onTestFinished(() => void vi.unstubAllEnvs());
  expect(stateDirectory()).toBeUndefined();
  const store = nodeStore(undefined);
  await expect(store.put({} as ResumeRecord)).rejects.toThrow('no home directory');
  expect(await store.list()).toEqual([]);
});

test('the client keeps records for the current visit when the browser denies storage', async () => {
  const { store } = browserPlatform;
  const denied = () => {
    throw new DOMException('The operation is insecure.', 'SecurityError');
  };
  Object.defineProperty(globalThis, 'localStorage', { get: denied, configurable: true });
  onTestFinished(() => void Reflect.deleteProperty(globalThis, 'localStorage'));
  expect(await store.list()).toEqual([]);
  await store.put(RECORD);
  expect(await store.get('film')).toEqual(RECORD);
  expect(await store.list()).toEqual([RECORD]);
  await store.remove('film');
  expect(await store.get('film')).toBeUndefined();
});

test('the client keeps records for the current visit when the storage is full, beside those that the browser stored', async () => {
  const { store } = browserPlatform;
  const items = new Map<string, string>();
  let isFull = false;
  const storage = {
    get length() {
      return items.size;
    },
    key: (index: number) => [...items.keys()][index] ?? null,
    getItem: (key: string) => items.get(key) ?? null,
    removeItem: (key: string) => void items.delete(key),
    setItem: (key: string, text: string) => {
      if (isFull) throw new DOMException('The quota has been exceeded.', 'QuotaExceededError');
      items.set(key, text);
    },
  };
  Object.defineProperty(globalThis, 'localStorage', { value: storage, configurable: true });
  onTestFinished(() => void Reflect.deleteProperty(globalThis, 'localStorage'));
  const older = { ...RECORD, key: 'older' };
  await store.put(older);
  isFull = true;
  const film = { ...RECORD, confirmed: 1, updatedAt: '2026-01-01T00:00:01.000Z' };
  const progressed = { ...older, confirmed: 1, updatedAt: '2026-01-01T00:00:01.000Z' };
  await store.put(film);
  await store.put(progressed);
  expect(await store.get('film')).toEqual(film);
  expect(await store.get('older')).toEqual(progressed);
  expect(await store.list()).toEqual([progressed, film]);
  // Another tab found space.
  const later = { ...older, updatedAt: '2026-01-01T00:00:02.000Z' };
  items.set('landfall:upload:older', JSON.stringify(later));
  expect(await store.get('older')).toEqual(later);
  await store.remove('film');
  await store.remove('older');
  expect(await store.list()).toEqual([]);
});
