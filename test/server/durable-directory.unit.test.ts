import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeDurableDirectory } from '../../server/disk/durable-directory.ts';
import { testDirectory } from '../support/temp-dir.ts';

describe('making a durable directory', () => {
  it('makes all directories above it, and succeeds when it exists', async () => {
    const path = join(testDirectory(), 'a', 'b', 'c');
    await makeDurableDirectory(path);
    await makeDurableDirectory(path);
    expect(existsSync(path)).toBe(true);
  });

  it.runIf(process.platform === 'linux')('below a directory that allows no entries fails, and is not tried forever', async () => {
    await expect(makeDurableDirectory('/proc/nothing/data')).rejects.toThrow('ENOENT');
  });

  it('in the place of a file, or below one, fails', async () => {
    const file = join(testDirectory(), 'file');
    writeFileSync(file, '');
    await expect(makeDurableDirectory(file)).rejects.toThrow('EEXIST');
    await expect(makeDurableDirectory(join(file, 'a'))).rejects.toThrow('ENOTDIR');
  });

  it('by many concurrent callers makes it once', async () => {
    const path = join(testDirectory(), 'a', 'b', 'c');
    await Promise.all(Array.from({ length: 20 }, () => makeDurableDirectory(path)));
    expect(existsSync(path)).toBe(true);
  });
});
