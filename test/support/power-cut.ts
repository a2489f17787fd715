// A disk whose power can be cut: an ext4 image on a loop device. The image has only what the file system was made to write, so a copy
// of the mounted image is the state of the disk after a power cut.
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { programPath } from './needs.ts';
import { testDirectory } from './temp-dir.ts';

const run = promisify(execFile);

function program(name: string): string {
  const path = programPath(name);
  if (path === undefined) throw new Error(`There is no ${name}.`);
  return path;
}

export class CuttableDisk {
  /** The mount point. */
  readonly path: string;
  readonly #image: string;
  #isMounted = true;

  private constructor(image: string, path: string) {
    this.#image = image;
    this.path = path;
  }

  /** Mounted until the running test ends; programs on it must have ended by then. Needs root. */
  static async create(bytes: number = 256 * 1024 * 1024): Promise<CuttableDisk> {
    const directory = testDirectory();
    const image = join(directory, 'disk');
    await writeFile(image, '');
    await truncate(image, bytes);
    // The tables are initialized now: the kernel's lazy writes would be noise in the image.
    await run(program('mkfs.ext4'), ['-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image]);
    return CuttableDisk.#mount(image, join(directory, 'mounted'));
  }

  static async #mount(image: string, path: string): Promise<CuttableDisk> {
    mkdirSync(path);
    // The journal is not committed by time, only on request.
    await run(program('mount'), ['-o', 'loop,commit=300', image, path]);
    const disk = new CuttableDisk(image, path);
    onTestFinished(() => disk.release());
    return disk;
  }

  /** Makes everything durable, as time would; the test begins after that. */
  async settle(): Promise<void> {
    await run('sync', ['-f', this.path]);
  }

  /** Cuts the power and restarts: mounts the disk in the state after the cut. The original disk stays in use. */
  async cut(): Promise<CuttableDisk> {
    const directory = testDirectory();
    const image = join(directory, 'disk');
    await run('cp', ['--sparse=always', this.#image, image]);
    return CuttableDisk.#mount(image, join(directory, 'mounted'));
  }

  /** Unmounts before the test ends, for tests with many disks; programs on it have ended. */
  async release(): Promise<void> {
    if (!this.#isMounted) return;
    this.#isMounted = false;
    await run(program('umount'), [this.path]).catch(() => run(program('umount'), ['-l', this.path]));
    await rm(this.#image);
  }
}
