import type { Ledger } from '../ledger/ledger.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { Staging } from '../staging/staging.ts';
import type { Storage } from '../storage/storage.ts';

/**
 * Reads bytes [start, end) of a complete upload from staging, or from storage when the file was published meanwhile.
 * @throws when the bytes are in neither
 */
export async function readStored(
  places: { ledger: Ledger; staging: Staging; storage: Storage },
  id: UploadId,
  start: number,
  end: number,
): Promise<Buffer> {
  if (start === end) return Buffer.alloc(0);
  const { ledger, staging, storage } = places;
  try {
    const reader = await staging.open(id);
    return await reader.read(start, end).finally(() => reader.close());
  } catch (error) {
    const upload = await ledger.get(id);
    if (upload?.state !== 'accepted') throw error;
    const chunks: Buffer[] = [];
    for await (const chunk of storage.read(upload.target, upload.name, { start, end })) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  }
}
