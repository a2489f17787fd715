import { access, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { DiskStaging } from '../../server/staging/disk/disk-staging.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { uploadId } from '../support/upload-ids.ts';
import { testBodyIntake } from './body-intake.ts';
import { testStaging } from './staging.ts';

async function openStaging(): Promise<DiskStaging> {
  const staging = new DiskStaging(testDirectory());
  await staging.prepare();
  return staging;
}

describe('staging on disk', () => {
  testStaging(openStaging);

  it('clears copies that a crash left half made, and none that may be being made', async () => {
    const staging = await openStaging();
    const [renewing, gone] = [uploadId('a'), uploadId('b')];
    await writeFile(staging.path(renewing), 'bytes');
    for (const id of [renewing, gone]) await writeFile(`${staging.path(id)}.renewed`, 'byt');
    const listed: string[] = [];
    for await (const id of staging.list()) listed.push(id);
    expect(listed).toEqual([renewing]);
    await access(`${staging.path(renewing)}.renewed`);
    await expect(access(`${staging.path(gone)}.renewed`)).rejects.toThrow('ENOENT');
    // The next one that is made does away with it.
    await staging.renew(renewing);
    await expect(access(`${staging.path(renewing)}.renewed`)).rejects.toThrow('ENOENT');
    await staging.close();
  });
});

describe('a body on its way to a disk', () => {
  testBodyIntake(openStaging);
});
