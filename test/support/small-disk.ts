// A small disk that is soon full: a tmpfs of a few MiB.
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { testDirectory } from './temp-dir.ts';

const run = promisify(execFile);

export class SmallDisk {
  /** The mount point. */
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Mounted until the running test ends; programs on it must have ended by then. Needs root. */
  static async create(options: { bytes: number; inodes?: number }): Promise<SmallDisk> {
    const path = join(testDirectory(), 'small');
    mkdirSync(path);
    const inodes = options.inodes === undefined ? '' : `,nr_inodes=${options.inodes}`;
    await run('mount', ['-t', 'tmpfs', '-o', `size=${options.bytes},mode=0755${inodes}`, 'tmpfs', path]);
    onTestFinished(async () => {
      await run('umount', [path]).catch(() => run('umount', ['-l', path]));
    });
    return new SmallDisk(path);
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.path);
    return bavail * bsize;
  }

  /** Fills the disk, except for this many bytes. */
  async fill(leaveBytes: number): Promise<void> {
    await writeFile(join(this.path, 'filler'), Buffer.alloc(Math.max(0, (await this.freeBytes()) - leaveBytes)));
  }

  async clear(): Promise<void> {
    await rm(join(this.path, 'filler'));
  }

  async remount(mode: 'ro' | 'rw'): Promise<void> {
    await run('mount', ['-o', `remount,${mode}`, this.path]);
  }
}
