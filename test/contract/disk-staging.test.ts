import { access, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { DiskStaging } from '../../server/staging/disk/disk-staging.ts';
import { filesBelow } from '../support/content.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { uploadId } from '../support/upload-ids.ts';
import { testBodyIntake } from './body-intake.ts';
import { testPromises } from './promises.ts';
import { testStaging } from './staging.ts';

async function openStaging(): Promise<DiskStaging> {
  const staging = new DiskStaging(testDirectory());
  await staging.prepare();
  return staging;
}

describe('staging on disk', () => {
  testStaging(openStaging);

  it('removes unfinished copies of a crash, and none that is being written', async () => {
    const staging = await openStaging();
    const [renewing, left, gone] = [uploadId('a'), uploadId('b'), uploadId('c')];
    await writeFile(staging.path(renewing), Buffer.alloc(64 * 1024 * 1024, 'x'));
    await writeFile(staging.path(left), 'bytes');
    for (const id of [left, gone]) await writeFile(`${staging.path(id)}.renewed`, 'byt');
    const renewed = staging.renew(renewing);
    const listed: string[] = [];
    for await (const id of staging.list()) listed.push(id);
    await renewed;
    expect(listed).toEqual([renewing, left]);
    for (const id of [renewing, left, gone]) await expect(access(`${staging.path(id)}.renewed`)).rejects.toThrow('ENOENT');
    await staging.close();
  });
});

describe('a body on its way to a disk', () => {
  testBodyIntake(openStaging);
});

describe('docs/stores.md of staging on a disk', () => {
  testPromises('Landfall on a disk', async () => {
    const directory = testDirectory();
    return {
      async open() {
        const staging = new DiskStaging(directory);
        await staging.prepare();
        return { staging };
      },
      everything: () => filesBelow(directory),
    };
  });
});
