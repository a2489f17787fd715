import { describe } from 'vitest';
import { DiskStaging } from '../../server/staging/disk/disk-staging.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { testStaging } from './staging.ts';

describe('staging on disk', () => {
  testStaging(async () => {
    const staging = new DiskStaging(testDirectory());
    await staging.prepare();
    return staging;
  });
});
