// Helpers for the tests of the client in Node: a server, a proxy before it, a directory for records, and an observer of a handle.
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { isFinal } from '../../client/handle/states.ts';
import { nodeStore } from '../../client/node/store.ts';
import {
  type UploadHandle,
  type UploadOptions,
  type UploadSnapshot,
  type UploadSource,
  type UploadState,
  upload,
} from '../../client/node.ts';
import type { ConfigInput, LandfallHooks } from '../../server/index.ts';
import { filesBelow, sha256OfFile, writeVideo } from '../support/content.ts';
import { type Exchange, type Fault, type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { type EmbeddedLandfall, embedLandfall } from '../support/landfall-embedded.ts';
import { testDirectory } from '../support/temp-dir.ts';

export interface Sending {
  directory: string;
  server: EmbeddedLandfall;
  proxy: FaultProxy;
  store: ReturnType<typeof nodeStore>;
  /** Uploads through the proxy, with the records of this test. */
  send(source: UploadSource, options?: Partial<UploadOptions>): Watched;
  /** Writes a video into the directory of the test. */
  video(length: number, name?: string): Promise<{ path: string; sha256: string }>;
  /** SHA-256 of every file that the server stored. */
  stored(): Promise<string[]>;
  /** The exchanges as `METHOD status`; a repeated request counts once, because the number of repetitions depends on the machine. */
  log(): string[];
}

export interface Watched {
  handle: UploadHandle;
  /** Every snapshot of the handle. */
  told: UploadSnapshot[];
  /** States in order, without repetition. */
  states(): UploadState[];
}

export async function startSending(
  plan: (exchange: Exchange) => Fault | undefined = () => undefined,
  config: ConfigInput = {},
  hooks: LandfallHooks = {},
): Promise<Sending> {
  const directory = testDirectory();
  const server = await embedLandfall(config, hooks);
  const proxy = await startFaultProxy({ upstream: server.url, onRequest: plan });
  onTestFinished(() => proxy.close());
  const store = nodeStore(join(directory, 'state'));
  return {
    directory,
    server,
    proxy,
    store,
    send: (source, options = {}) => watch(upload(source, { endpoint: `${proxy.url}/files`, store, ...options })),
    video: async (length, name = 'film.mp4') => {
      const path = join(directory, name);
      return { path, sha256: await writeVideo(path, length) };
    },
    stored: async () => {
      const folder = join(server.dataDir, 'files');
      return Promise.all((await filesBelow(folder)).map((name) => sha256OfFile(join(folder, name))));
    },
    log: () =>
      proxy.exchanges
        .map(({ method, status }) => `${method} ${status ?? '-'}`)
        .filter((line, index, all) => !line.startsWith('GET ') || line !== all[index - 1]),
  };
}

export function watch(handle: UploadHandle): Watched {
  const told: UploadSnapshot[] = [];
  handle.subscribe((snapshot) => told.push(snapshot));
  onTestFinished(() => handle.cancel().catch(() => {}));
  const states = () => told.map(({ state }) => state).filter((state, index, all) => state !== all[index - 1]);
  return { handle, told, states };
}

/** Resolves with the first snapshot that matches; throws when the upload ends before. */
export async function reaches(handle: UploadHandle, matches: (snapshot: UploadSnapshot) => boolean): Promise<UploadSnapshot> {
  for await (const snapshot of handle) {
    if (matches(snapshot)) return snapshot;
    if (isFinal(snapshot.state))
      throw new Error(`The upload ended ${snapshot.state} before a snapshot matched: ${snapshot.error?.message}`);
  }
  throw new Error('The upload ended before a snapshot matched.');
}

export function reachesState(handle: UploadHandle, state: UploadState): Promise<UploadSnapshot> {
  return reaches(handle, (snapshot) => snapshot.state === state);
}

/** Resolves with the state and the error in which the upload ended. */
export async function failureOf(handle: UploadHandle): Promise<{ state: UploadState; code: string; detail: string | undefined }> {
  const error = await handle.done.then(
    () => expect.fail('It was accepted.'),
    (reason) => reason,
  );
  expect(handle.snapshot.error).toBe(error);
  return { state: handle.snapshot.state, code: error.code, detail: error.detail };
}
