import { OpenFile } from './open-file.ts';

const PIECE_BYTES = 1024 * 1024;

/**
 * Copies a file and makes the copy durable. It copies in pieces, because one system call for gigabytes cannot be interrupted.
 * @throws EEXIST when the target exists; the signal's reason, with part of the copy left behind
 */
export async function copyFile(from: string, to: string, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  const source = await OpenFile.open(from, 'r');
  try {
    const target = await OpenFile.open(to, 'wx', 0o640);
    try {
      const piece = Buffer.allocUnsafe(PIECE_BYTES);
      for (let position = 0; ; ) {
        const bytesRead = await source.read(piece, 0, position);
        if (bytesRead === 0) break;
        for (let written = 0; written < bytesRead; ) {
          signal?.throwIfAborted();
          written += await target.writev([piece.subarray(written, bytesRead)], position + written);
        }
        position += bytesRead;
      }
      signal?.throwIfAborted();
      await target.sync();
    } finally {
      await target.close();
    }
  } finally {
    source.closeSync();
  }
}
