// Uploads in a directory of @tus/file-store or tusd: a file for each upload, and a JSON file beside it that ends in `.json` or `.info`.
import { createReadStream } from 'node:fs';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { StartError } from '../../runtime/start-error.ts';
import { type AdoptionSource, type FoundUpload, readInfo, type UnusableUpload } from './source.ts';

/** The operator's path has nothing to adopt. */
export class NothingToAdopt extends StartError {
  override readonly name = 'NothingToAdopt';
  override readonly code = 'ERR_NOTHING_TO_ADOPT';
}

export class DirectorySource implements AdoptionSource {
  readonly #directory: string;
  readonly #ending: string;

  /** @param ending of the JSON files: `.json` or `.info` */
  constructor(directory: string, ending: string) {
    this.#directory = directory;
    this.#ending = ending;
  }

  async *uploads(): AsyncIterable<FoundUpload | UnusableUpload> {
    const entries = await readdir(this.#directory, { recursive: true, withFileTypes: true }).catch((cause: unknown) => {
      throw new NothingToAdopt(`${this.#directory} cannot be read.`, { cause });
    });
    for (const entry of entries) {
      if (!entry.isFile() || !entry.name.endsWith(this.#ending)) continue;
      const info = join(entry.parentPath, entry.name);
      const path = info.slice(0, -this.#ending.length);
      // An id with slashes in it is a path below the directory.
      const id = relative(this.#directory, path).split(sep).join('/');
      yield await this.#read(id, path, info);
    }
  }

  close(): void {}

  async #read(id: string, path: string, infoPath: string): Promise<FoundUpload | UnusableUpload> {
    const info = readInfo(await readFile(infoPath, 'utf8'));
    if (info === undefined || info.id !== id) return { id, reason: 'its JSON file is not readable' };
    if (info.isPartial) return { id, reason: 'it is a part of a parallel upload: its sender must start again' };
    const stats = await stat(path).catch(() => undefined);
    if (!stats?.isFile()) return { id, reason: 'its bytes are gone', remove: () => rm(infoPath, { force: true }) };
    const { length } = info;
    if (length !== null && stats.size > length) return { id, reason: `it has ${stats.size} bytes of ${length}` };
    return {
      id,
      length,
      offset: stats.size,
      metadata: info.metadata,
      createdAt: info.createdAt ?? stats.birthtime.getTime(),
      path,
      content: () => createReadStream(path),
      // The JSON file goes last: a later run finds the upload by it.
      async remove() {
        await rm(path, { force: true });
        await rm(infoPath, { force: true });
      },
    };
  }
}
