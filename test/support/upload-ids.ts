import { parseUploadId, type UploadId } from '../../server/ledger/upload-id.ts';

/** An id of one repeated digit, which is easy to tell from others. */
export function uploadId(digit: string): UploadId {
  return known(digit.repeat(32));
}

/** For tests that need many ids. */
export function numberedId(index: number): UploadId {
  return known(index.toString(16).padStart(32, '0'));
}

function known(text: string): UploadId {
  const id = parseUploadId(text);
  if (id === undefined) throw new Error(`"${text}" is no id of an upload.`);
  return id;
}
