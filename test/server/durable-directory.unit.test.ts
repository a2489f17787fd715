import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeDurableDirectory } from '../../server/disk/durable-directory.ts';
import { testDirectory } from '../support/temp-dir.ts';

describe('a directory', () => {
  it('is made with all above it, and is fine when it is there', async () => {
    const path = join(testDirectory(), 'a', 'b', 'c');
    await makeDurableDirectory(path);
    await makeDurableDirectory(path);
    expect(existsSync(path)).toBe(true);
  });

  it.runIf(process.platform === 'linux')('below one that takes none is refused, not tried for ever', async () => {
    await expect(makeDurableDirectory('/proc/nothing/data')).rejects.toThrow('ENOENT');
  });

  it('is not made in the place of a file, or below one', async () => {
    const file = join(testDirectory(), 'file');
    writeFileSync(file, '');
    await expect(makeDurableDirectory(file)).rejects.toThrow('EEXIST');
    await expect(makeDurableDirectory(join(file, 'a'))).rejects.toThrow('ENOTDIR');
  });

  it('is made once by many at once', async () => {
    const path = join(testDirectory(), 'a', 'b', 'c');
    await Promise.all(Array.from({ length: 20 }, () => makeDurableDirectory(path)));
    expect(existsSync(path)).toBe(true);
  });
});
