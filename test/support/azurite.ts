// Azure's blob storage on this machine: Azurite from npm, for one test file.

import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { BlobServiceClient, type ContainerClient, StorageSharedKeyCredential } from '@azure/storage-blob';
import { afterAll } from 'vitest';
import { freePort } from './free-port.ts';
import { temporaryDirectory } from './temp-dir.ts';

const ACCOUNT = 'landfall';
const LIMIT_MS = 60_000;

/** Runs until the calling file or `describe` block ends. Resolves to a function that creates a new container. */
export async function startAzurite(): Promise<() => Promise<ContainerClient>> {
  const key = randomBytes(32).toString('base64');
  const port = await freePort();
  const { path } = temporaryDirectory();
  const program = createRequire(import.meta.url).resolve('azurite/dist/src/blob/main.js');
  const flags = ['--blobPort', String(port), '--location', path, '--silent', '--skipApiVersionCheck', '--disableTelemetry'];
  const child = spawn(process.execPath, [program, ...flags], {
    env: { ...process.env, AZURITE_ACCOUNTS: `${ACCOUNT}:${key}` },
    stdio: 'ignore',
  });
  afterAll(() => ended(child));
  const service = new BlobServiceClient(`http://127.0.0.1:${port}/${ACCOUNT}`, new StorageSharedKeyCredential(ACCOUNT, key));
  const deadline = performance.now() + LIMIT_MS;
  while (!(await service.getProperties().then(Boolean, () => false))) {
    if (child.exitCode !== null || performance.now() > deadline) throw new Error('Azurite does not answer.');
    await sleep(50);
  }
  return async () => {
    const container = service.getContainerClient(randomBytes(8).toString('hex'));
    await container.create();
    return container;
  };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}
