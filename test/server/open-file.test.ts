// The system gives the number of a closed descriptor to the next opened file. No one may read or sync that file through the old
// one.
import { readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { OpenFile } from '../../server/disk/open-file.ts';
import { testDirectory } from '../support/temp-dir.ts';

function makeFile(content: string): string {
  const path = join(testDirectory(), 'file');
  writeFileSync(path, content);
  return path;
}

/** Number of this process's descriptors that are open on the path. */
async function descriptorsOf(path: string): Promise<number> {
  const links = (await readdir('/proc/self/fd')).map((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`);
    } catch {
      return '';
    }
  });
  return links.filter((link) => link === path).length;
}

describe('an open file', () => {
  it('reads, writes and reports its size', async () => {
    const path = makeFile('');
    const file = await OpenFile.open(path, 'r+');
    expect(await file.writev([Buffer.from('ab'), Buffer.from('cd')], 1)).toBe(4);
    const buffer = Buffer.alloc(6, '.');
    expect(await file.read(buffer, 2, 2)).toBe(3);
    expect(buffer.toString()).toBe('..bcd.');
    expect(await file.size()).toBe(5);
    await file.sync();
    await file.datasync();
    await file.close();
    expect(readFileSync(path, 'latin1')).toBe('\0abcd');
    await expect(OpenFile.open(join(path, 'x'), 'r')).rejects.toMatchObject({ code: 'ENOTDIR' });
  });

  it.for(['close', 'closeSync'] as const)('refuses every call after %s, and reads no other file’s bytes', async (close) => {
    const mine = await OpenFile.open(makeFile('mine'), 'r');
    await mine[close]();
    const other = await OpenFile.open(makeFile('another’s'), 'r');
    const buffer = Buffer.alloc(4);
    await expect(mine.read(buffer, 0, 0)).rejects.toMatchObject({ code: 'EBADF' });
    await expect(mine.datasync()).rejects.toMatchObject({ code: 'EBADF' });
    expect(buffer).toEqual(Buffer.alloc(4));
    // A second close must not close the other file.
    await mine[close]();
    expect(await other.size()).toBeGreaterThan(4);
    await other.close();
  });

  it.for(['close', 'closeSync'] as const)('is closed by %s only once its running calls have returned', async (close) => {
    const path = makeFile('x'.repeat(1000));
    const file = await OpenFile.open(path, 'r+');
    const running = Array.from({ length: 20 }, () => file.datasync());
    const reading = file.read(Buffer.alloc(1000), 0, 0);
    const closed = file[close]();
    await expect(file.size()).rejects.toMatchObject({ code: 'EBADF' });
    await Promise.all(running);
    expect(await reading).toBe(1000);
    await closed;
    await expect.poll(() => descriptorsOf(path)).toBe(0);
  });
});
