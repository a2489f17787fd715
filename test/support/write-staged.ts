// Writes a body to staging alone: no ledger, no checksum, no check.
import type { Readable } from 'node:stream';
import type { UploadId } from '../../server/ledger/upload-id.ts';
import { type BodyEnd, type BodyLimits, type OpenBody, splitBuffers } from '../../server/staging/body-source.ts';
import type { Proof, Staging, StagingWriter, WriterOptions } from '../../server/staging/staging.ts';
import { streamBody } from '../../server/staging/stream-source.ts';

export interface Written {
  end: BodyEnd;
  proof: Proof;
  /** Bytes that were written. */
  bytes: number;
}

export type WriteStagedOptions = Partial<BodyLimits & WriterOptions> & {
  /** Called before each write with bytes. */
  onBatch?: () => void;
};

/** Appends a body from `offset` on. */
export async function writeStaged(
  staging: Staging,
  id: UploadId,
  offset: number,
  body: Readable | OpenBody,
  options: WriteStagedOptions = {},
): Promise<Written> {
  const waking = { wake: () => {} };
  const writer = await staging.openWriter(id, offset, { completeBytes: null, wake: () => waking.wake(), ...options });
  const open = typeof body === 'function' ? body : streamBody(body);
  return pour(
    writer,
    (limits) => {
      const source = open(limits);
      waking.wake = () => source.wake();
      return source;
    },
    options,
  );
}

/** Copies a source's batches to a writer, one at a time, and closes both. */
export async function pour(writer: StagingWriter, open: OpenBody, options: WriteStagedOptions = {}): Promise<Written> {
  const source = open({ maxBytes: 1e9, signal: new AbortController().signal, bodyTimeoutMs: 30_000, ...options });
  let bytes = 0;
  try {
    for (let batch = await source.next(); batch !== undefined; batch = await source.next()) {
      let rest = batch.buffers;
      do {
        if (rest.length > 0) options.onBatch?.();
        const [piece, after] = splitBuffers(rest, writer.capacity);
        await writer.write(piece);
        rest = after;
      } while (rest.length > 0);
      bytes += batch.bytes;
      batch.release();
    }
    const { end = 'cut' } = source;
    return { end, bytes, proof: await writer.end(end !== 'too-long') };
  } finally {
    source.close();
    await writer.close();
  }
}
