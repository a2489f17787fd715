import type { IncomingMessage, ServerResponse } from 'node:http';
import { UploadError } from '../../shared/errors.ts';
import type { Downloads } from '../access/downloads.ts';
import type { Removal } from '../finish/removal.ts';
import { gone } from '../finish/verdict-answers.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Upload, UploadIn } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import { dispositionOf } from '../storage/disposition.ts';
import type { Storage } from '../storage/storage.ts';

const OF_THE_FILE = ['Content-Disposition', 'ETag', 'Last-Modified', 'Accept-Ranges'];

/**
 * An address by which anybody downloads one accepted file until its end.
 * @param endsAt by the wall's clock, in milliseconds; default: as in records
 * @throws UploadError 403 where downloads are off, 404 before acceptance, 410 once it was removed
 */
export async function signedDownload(
  { ledger, downloads }: { ledger: Ledger; downloads: Downloads },
  id: UploadId,
  collectionUrl: string,
  endsAt: number = Date.now() + downloads.lifetimeMs,
): Promise<string> {
  requireAccepted(await ledger.get(id));
  return downloads.sign(`${collectionUrl}/${id}`, id, endsAt);
}

function requireAccepted(upload: Upload | undefined): UploadIn<'accepted'> {
  if (upload?.state === 'removed') throw gone(upload);
  if (upload?.state !== 'accepted') throw new UploadError('ERR_UPLOAD_NOT_FOUND');
  return upload;
}

/**
 * The accepted file, as an attachment under its safe name and detected type, and inert if a browser opens it all the same.
 * @throws UploadError 404 before acceptance, 410 once it was removed
 */
export async function download(
  { ledger, storage, removal }: { ledger: Ledger; storage: Storage; removal: Removal },
  request: IncomingMessage,
  response: ServerResponse,
  found: Upload,
): Promise<void> {
  const upload = requireAccepted(found);
  response.setHeader('Content-Type', upload.type);
  response.setHeader('Content-Disposition', dispositionOf(upload.name));
  // The bytes under an id never change.
  response.setHeader('ETag', `"${upload.id}"`);
  response.setHeader('Cache-Control', 'private, no-cache');
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Content-Security-Policy', "default-src 'none'; sandbox");
  response.setHeader('Cross-Origin-Resource-Policy', 'cross-origin');
  const release = removal.holdWhileRead(upload.id);
  try {
    await storage.deliver(request, response, upload.target, upload.name);
  } catch (error) {
    // What refuses the request is no attachment.
    if (!response.headersSent) for (const name of OF_THE_FILE) response.removeHeader(name);
    if (!(error instanceof UploadError) || error.code !== 'ERR_NOT_FOUND') throw error;
    // It was removed between the look into the ledger and the one at the file.
    const now = await ledger.get(upload.id);
    throw now?.state === 'removed' ? gone(now) : error;
  } finally {
    release();
  }
}
