import { constants, type Stats, statSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isUint8Array } from 'node:util/types';
import { UploadError } from '../../shared/errors.ts';
import type { Source, SourceReference } from '../ports.ts';
import { checkStream, StreamSource, type UploadStream } from './stream-source.ts';

/** A path, a `file:` URL, bytes, or a stream with a name. Bytes are copied. */
export type NodeSource = string | URL | Uint8Array | UploadStream;

/** Checking the file after every piece would cost more than reading it. */
const CHECK_EVERY_MS = 1000;

/** @throws TypeError for any other value, and for a stream that cannot be read */
export function nodeSource(source: NodeSource): SourceReference {
  if (typeof source === 'string' || source instanceof URL) {
    const path = resolve(typeof source === 'string' ? source : fileURLToPath(source));
    return { name: basename(path), size: sizeOf(path), open: () => FileSource.open(path) };
  }
  if (isUint8Array(source)) {
    const bytes = new Uint8Array(source);
    return { name: '', size: bytes.length, open: async () => new BytesSource(bytes) };
  }
  if (typeof source === 'object' && source !== null && 'stream' in source) {
    checkStream(source);
    return { name: source.name, size: source.size ?? null, open: async () => new StreamSource(source) };
  }
  throw new TypeError('Node can send a path, a file: URL, a Uint8Array, or { stream, name }.');
}

/** The size for the totals of a queue. An error counts as an unknown size, because opening the file reports it later. */
function sizeOf(path: string): number | null {
  try {
    const stats = statSync(path);
    return stats.isFile() ? stats.size : null;
  } catch {
    return null;
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'There is no such file.',
  ENOTDIR: 'There is no such file.',
  EACCES: 'You do not have permission to read it.',
  EPERM: 'You do not have permission to read it.',
};

function unreadable(cause: unknown): UploadError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return new UploadError('ERR_SOURCE_UNREADABLE', { detail: REASONS[code] ?? `The system reported ${code || 'no reason'}.`, cause });
}

/** @throws UploadError ERR_SOURCE_UNREADABLE */
function checkRegular(stats: Stats): void {
  if (stats.isFile()) return;
  throw new UploadError('ERR_SOURCE_UNREADABLE', { detail: stats.isDirectory() ? 'It is a directory.' : 'It is not a regular file.' });
}

/**
 * A named pipe may replace the file after the check. Without `O_NONBLOCK`, opening it blocks a thread until a writer comes, and Node
 * cannot exit before. Regular files ignore the flag, and Windows does not have it.
 */
const READ_AT_ONCE = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** Reads by position from one open file, so renaming or deleting the file does not affect the upload. */
class FileSource implements Source {
  readonly name: string;
  readonly type = '';
  readonly size: number;
  readonly lastModified: number;
  readonly path: string;
  readonly isResumable = true;
  readonly #file: FileHandle;
  /** With fractions of a millisecond, which copies of a file do not keep. */
  readonly #modifiedAt: number;
  #checkedAt = 0;

  /** @throws UploadError ERR_SOURCE_UNREADABLE */
  static async open(path: string): Promise<FileSource> {
    let file: FileHandle | undefined;
    try {
      // Opening a device may have effects, so the path is checked first.
      checkRegular(await stat(path));
      file = await open(path, READ_AT_ONCE);
      const stats = await file.stat();
      checkRegular(stats);
      return new FileSource(path, file, stats);
    } catch (error) {
      await file?.close();
      throw error instanceof UploadError ? error : unreadable(error);
    }
  }

  private constructor(path: string, file: FileHandle, stats: Stats) {
    this.path = path;
    this.name = basename(path);
    this.size = stats.size;
    this.lastModified = Math.round(stats.mtimeMs);
    this.#modifiedAt = stats.mtimeMs;
    this.#file = file;
  }

  async read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(end - start);
    let filled = 0;
    try {
      while (filled < bytes.length) {
        const { bytesRead } = await this.#file.read(bytes, filled, bytes.length - filled, start + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      await this.#checkUnchanged(end === this.size);
    } catch (error) {
      throw error instanceof UploadError ? error : unreadable(error);
    }
    if (filled < bytes.length) throw new UploadError('ERR_SOURCE_CHANGED', { detail: 'It became shorter while it was being sent.' });
    return bytes;
  }

  release(): void {}

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** Detects that the file was written to, since the server would then store a mixture of two versions. */
  async #checkUnchanged(now: boolean): Promise<void> {
    if (!now && performance.now() - this.#checkedAt < CHECK_EVERY_MS) return;
    this.#checkedAt = performance.now();
    const { size, mtimeMs } = await this.#file.stat();
    if (size !== this.size || mtimeMs !== this.#modifiedAt) {
      throw new UploadError('ERR_SOURCE_CHANGED', { detail: 'It was changed while it was being sent.' });
    }
  }
}

class BytesSource implements Source {
  readonly name = '';
  readonly type = '';
  readonly size: number;
  readonly lastModified = null;
  readonly isResumable = true;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.size = bytes.length;
  }

  async read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(this.#bytes.subarray(start, end));
  }

  release(): void {}

  async close(): Promise<void> {}
}
