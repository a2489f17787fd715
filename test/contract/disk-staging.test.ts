import { describe } from 'vitest';
import { DiskStaging } from '../../server/staging/disk/disk-staging.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { testBodyIntake } from './body-intake.ts';
import { testStaging } from './staging.ts';

async function openStaging(): Promise<DiskStaging> {
  const staging = new DiskStaging(testDirectory());
  await staging.prepare();
  return staging;
}

describe('staging on disk', () => {
  testStaging(openStaging);
});

describe('a body on its way to a disk', () => {
  testBodyIntake(openStaging);
});
