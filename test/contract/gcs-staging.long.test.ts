// @tus/gcs-store fulfils the contract of Landfall's own staging: against fake-gcs-server, built with Go from its module.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type Bucket, type CreateWriteStreamOptions, type FileMetadata, Storage } from '@google-cloud/storage';
import { GCSStore } from '@tus/gcs-store';
import { afterAll, describe } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { goProgram, hasGo } from '../support/go-program.ts';
import { openStoreStaging } from '../support/store-staging.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { testBodyIntake } from './body-intake.ts';
import { spoilable, testPromises } from './promises.ts';
import { testStaging } from './staging.ts';
import { testStoreServer } from './store-server.ts';

async function startGcs() {
  const port = await freePort();
  const program = goProgram('github.com/fsouza/fake-gcs-server@v1.56.1');
  const url = `http://127.0.0.1:${port}`;
  const flags = ['-scheme', 'http', '-host', '127.0.0.1', '-port', String(port), '-backend', 'memory', '-log-level', 'error'];
  const child = spawn(program, [...flags, '-external-url', url, '-public-host', `127.0.0.1:${port}`], { stdio: 'ignore' });
  afterAll(() => ended(child));
  while (!(await fetch(`${url}/storage/v1/b`).then(Boolean, () => false))) {
    if (child.exitCode !== null) throw new Error('fake-gcs-server ended by itself.');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const storage = new Storage({ apiEndpoint: url, projectId: 'test', useAuthWithCustomEndpoint: false });
  return async () => takingNumbers((await storage.createBucket(randomBytes(8).toString('hex')))[0]);
}

/** Google's own server accepts numbers and nulls in an object's metadata, which the store sends; fake-gcs-server only accepts texts. */
function takingNumbers(bucket: Bucket): Bucket {
  const file = bucket.file.bind(bucket);
  bucket.file = (name, options) => {
    const made = file(name, options);
    const write = made.createWriteStream.bind(made);
    made.createWriteStream = (given: CreateWriteStreamOptions = {}) =>
      write({ ...given, ...(given.metadata && { metadata: { ...given.metadata, metadata: texts(given.metadata.metadata) } }) });
    const set = made.setMetadata.bind(made) as (metadata: FileMetadata) => Promise<never>;
    made.setMetadata = ((metadata: FileMetadata) => set({ ...metadata, metadata: texts(metadata.metadata) })) as typeof made.setMetadata;
    return made;
  };
  return bucket;
}

function texts(metadata: object = {}): Record<string, string> {
  const entries = Object.entries(metadata).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(entries.map(([key, value]) => [key, String(value)]));
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

describe.runIf(hasGo)('with Google', async () => {
  const newBucket = hasGo ? await startGcs() : undefined;
  const bucket = async () => {
    if (newBucket === undefined) throw new Error('There is no Go.');
    return newBucket();
  };
  const openStaging = async () => openStoreStaging(new GCSStore({ bucket: await bucket() }));

  describe('staging in @tus/gcs-store', () => {
    testStaging(openStaging);
  });

  describe('a body on its way to @tus/gcs-store', () => {
    testBodyIntake(openStaging);
  });

  describe('a server on @tus/gcs-store', () => {
    testStoreServer(async () => {
      const own = await bucket();
      return {
        hooks: { dataStore: new GCSStore({ bucket: own }) },
        everything: async () => (await own.getFiles())[0].map(({ name }) => name),
      };
    });
  });

  describe('docs/stores.md of @tus/gcs-store', () => {
    testPromises('`@tus/gcs-store`', async () => {
      const [own, ledger] = [await bucket(), testDirectory()];
      return {
        async open() {
          const store = new GCSStore({ bucket: own });
          const spoiled = spoilable(store);
          return { staging: await openStoreStaging(store, '', ledger), spoiled };
        },
        everything: async () => (await own.getFiles())[0].map(({ name }) => name),
      };
    });
  });
});
