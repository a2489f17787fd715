import { parseUploadId, type UploadId } from '../../server/ledger/upload-id.ts';

/** An id of one digit over and over: one that is easy to tell from others. */
export function uploadId(digit: string): UploadId {
  const id = parseUploadId(digit.repeat(32));
  if (id === undefined) throw new Error(`"${digit}" is no hexadecimal digit.`);
  return id;
}
