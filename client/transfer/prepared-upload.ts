// An upload that is ready to start: its source, identified by a fingerprint, and the journal of an earlier run.
import type { UploadOptions } from '../options.ts';
import type { Platform, Source } from '../ports.ts';
import { fingerprintOf, Journal } from '../resume/journal.ts';
import { answeringStore } from './answering-store.ts';
import { RunningChecksum } from './checksum.ts';
import { ChunkSize } from './chunk-size.ts';
import type { ReadableSource } from './source-reader.ts';
import { SourceVerification } from './source-verification.ts';

export interface PreparedUpload extends ReadableSource {
  readonly name: string;
  readonly journal: Journal;
  checksum: RunningChecksum | undefined;
  readonly chunkSize: ChunkSize;
}

/** @throws UploadError as `Source.read` */
export async function prepareUpload(
  source: Source,
  name: string,
  endpoint: string,
  options: UploadOptions,
  platform: Pick<Platform, 'crc32' | 'yieldToPage' | 'store' | 'chunks'>,
): Promise<PreparedUpload> {
  const { crc32, chunks } = platform;
  const { chunkSize, verifySource, checksum = true } = options;
  const fingerprint = source.isResumable ? await fingerprintOf(source, crc32) : '';
  const journal = journalOf(source, name, endpoint, options, platform, fingerprint);
  // A stream cannot be read again, so its bytes stay in memory until the server confirms them.
  const limits = source.isResumable ? chunks : { ...chunks, wholeBody: false };
  return {
    source,
    name,
    journal,
    checksum: checksum || verifySource ? new RunningChecksum(crc32) : undefined,
    verification: source.isResumable ? new SourceVerification(source.size ?? 0, fingerprint, platform, verifySource) : undefined,
    chunkSize: new ChunkSize(limits, typeof chunkSize === 'number' ? chunkSize : undefined),
  };
}

/** Whether an earlier visit left a record of this upload. Reads a file only if it has no time of modification. */
export async function hasRecord(
  source: Source,
  name: string,
  endpoint: string,
  options: UploadOptions,
  platform: Pick<Platform, 'crc32' | 'store'>,
): Promise<boolean> {
  const fingerprint = source.isResumable && source.lastModified === null ? await fingerprintOf(source, platform.crc32) : '';
  return journalOf(source, name, endpoint, options, platform, fingerprint).hasRecord();
}

function journalOf(
  source: Source,
  name: string,
  endpoint: string,
  options: UploadOptions,
  platform: Pick<Platform, 'store'>,
  fingerprint: string,
): Journal {
  const { resume = true, store = platform.store } = options;
  const metadata = metadataOf(source, name, options);
  return new Journal({ store: resume ? answeringStore(store) : undefined, endpoint, name, source, fingerprint, metadata });
}

/** The `Upload-Metadata` of the creation. */
function metadataOf(source: Source, name: string, options: UploadOptions): Record<string, string> {
  const type = options.type ?? source.type;
  const relativePath = options.relativePath ?? source.relativePath;
  return {
    filename: name,
    ...(type ? { filetype: type } : {}),
    ...(relativePath ? { relativePath: relativePath.toWellFormed() } : {}),
    ...options.metadata,
  };
}
