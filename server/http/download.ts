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

const FILE_HEADERS = ['Content-Disposition', 'ETag', 'Last-Modified', 'Accept-Ranges'];

/**
 * Returns an address at which anyone can download one accepted file until the address expires.
 * @param endsAt by the wall clock, in milliseconds; default: as in records
 * @throws UploadError 403 where downloads are off, 404 before acceptance, 410 once the file was removed
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
 * Sends the accepted file as an attachment, with its safe name and detected type, and inert if a browser opens it all the same.
 * @throws UploadError 404 before acceptance, 410 once the file was removed
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
  // The bytes of an id never change.
  response.setHeader('ETag', `"${upload.id}"`);
  response.setHeader('Cache-Control', 'private, no-cache');
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Content-Security-Policy', "default-src 'none'; sandbox");
  response.setHeader('Cross-Origin-Resource-Policy', 'cross-origin');
  const release = removal.holdWhileRead(upload.id);
  try {
    await storage.deliver(request, response, upload.target, upload.name);
  } catch (error) {
    // A refusal is no attachment.
    if (!response.headersSent) for (const name of FILE_HEADERS) response.removeHeader(name);
    if (!(error instanceof UploadError) || error.code !== 'ERR_NOT_FOUND') throw error;
    // The file was removed after its row was read from the ledger.
    const now = await ledger.get(upload.id);
    throw now?.state === 'removed' ? gone(now) : error;
  } finally {
    release();
  }
}
