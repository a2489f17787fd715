// `landfall-server adopt`: takes over the uploads of another server. It copies the bytes, then writes the row, and removes the
// original only when both are durable here. So it can be interrupted at any point, and run again.
import { link } from 'node:fs/promises';
import { dirname } from 'node:path';
import { nameFromType } from '../../../shared/filename.ts';
import { formatMetadata } from '../../../shared/metadata.ts';
import { formatBytes } from '../../../shared/units.ts';
import type { Config } from '../../config/config.ts';
import { codeOf, NO_LINK } from '../../disk/disk-thread.ts';
import { syncDirectory } from '../../disk/durable-directory.ts';
import { directoryFor } from '../../finish/inspection-starts.ts';
import { type AdoptedIds, addressesOf, idFor } from '../../ledger/adopted-ids.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { type Grantee, NO_LIMITS, quotaOfOwner } from '../../ledger/limits.ts';
import type { Upload, UploadIn } from '../../ledger/upload.ts';
import { parseUploadId, type UploadId } from '../../ledger/upload-id.ts';
import { newRow } from '../../staging/admission.ts';
import { DiskStaging } from '../../staging/disk/disk-staging.ts';
import { advance, type Checksum } from '../../staging/running-checksum.ts';
import type { Staging } from '../../staging/staging.ts';
import type { Storage } from '../../storage/storage.ts';
import type { AdoptionSource, FoundUpload, UnusableUpload } from './source.ts';

export interface AdoptionOptions {
  /** The owner of the adopted uploads, as the access rule names owners; empty: everyone. */
  owner: string;
  /** Finished files are accepted without an inspection. */
  isTrusted: boolean;
  /** True for a dry run, which changes nothing here or in the source. */
  isDry: boolean;
  /** Removes originals that are durable here. */
  mayRemove: boolean;
}

export interface AdoptionContext {
  ledger: Ledger;
  adopted: AdoptedIds;
  staging: Staging;
  storage: Storage;
  config: Config;
  /** Prints a line for the operator. */
  print(line: string): void;
}

export interface AdoptionCounts {
  finished: number;
  unfinished: number;
  /** Uploads that an earlier run adopted. */
  known: number;
  skipped: number;
  removed: number;
}

/** The type of a file that was not inspected: browsers never open it. */
const UNKNOWN_TYPE = 'application/octet-stream';

/** Adopts every upload of a source. One that cannot be adopted does not stop the others; a later run tries it again. */
export async function adoptAll(source: AdoptionSource, options: AdoptionOptions, adopting: AdoptionContext): Promise<AdoptionCounts> {
  const counts: AdoptionCounts = { finished: 0, unfinished: 0, known: 0, skipped: 0, removed: 0 };
  const skip = (id: string, reason: string) => {
    counts.skipped += 1;
    adopting.print(`${id}  skipped  ${reason}`);
  };
  for await (const found of source.uploads()) {
    try {
      const reason = 'reason' in found ? found.reason : unusable(found, adopting.config);
      if (!('reason' in found) && reason === undefined) await new Adoption(found, options, adopting).run(counts);
      else if ('reason' in found && (await isRemovedInPart(found, options, adopting))) counts.known += 1;
      else skip(found.id, reason ?? '');
    } catch (error) {
      skip(found.id, error instanceof Error ? error.message : String(error));
    }
  }
  return counts;
}

/** True for an upload that was adopted, and whose original was removed only in part. */
async function isRemovedInPart(
  { id, remove }: UnusableUpload,
  { mayRemove, isDry }: AdoptionOptions,
  { ledger }: AdoptionContext,
): Promise<boolean> {
  const upload = remove && (await ledger.get(parseUploadId(id) ?? idFor(id)));
  if (upload === undefined) return false;
  if (mayRemove && !isDry && isOriginalObsolete(upload)) await remove?.();
  return true;
}

function unusable({ length, offset, id }: Exclude<FoundUpload, UnusableUpload>, { maxUploadBytes }: Config): string | undefined {
  if ((length ?? offset) > maxUploadBytes) return `it is larger than LANDFALL_MAX_UPLOAD_SIZE, ${formatBytes(maxUploadBytes)}`;
  if (parseUploadId(id) === undefined && addressesOf(id).length === 0) return 'its id cannot be part of an address';
  return undefined;
}

class Adoption {
  readonly #found: FoundUpload;
  readonly #options: AdoptionOptions;
  readonly #adopting: AdoptionContext;
  readonly #id: UploadId;

  constructor(found: FoundUpload, options: AdoptionOptions, adopting: AdoptionContext) {
    this.#found = found;
    this.#options = options;
    this.#adopting = adopting;
    this.#id = parseUploadId(found.id) ?? idFor(found.id);
  }

  async run(counts: AdoptionCounts): Promise<void> {
    const { ledger } = this.#adopting;
    const { isDry } = this.#options;
    let upload = await ledger.get(this.#id);
    const isKnown = upload !== undefined;
    if (upload === undefined && !isDry) upload = await this.#adopt();
    counts[isKnown ? 'known' : this.#isFinished ? 'finished' : 'unfinished'] += 1;
    this.#report(upload);
    if (!this.#options.mayRemove || upload === undefined || isDry || !isOriginalObsolete(upload)) return;
    await this.#found.remove();
    counts.removed += 1;
  }

  get #isFinished(): boolean {
    return this.#found.length === this.#found.offset;
  }

  async #adopt(): Promise<Upload> {
    const { staging, ledger, adopted } = this.#adopting;
    // Removes what an interrupted run has copied.
    await staging.remove(this.#id);
    const checksum = (await this.#link()) ?? (await this.#copy());
    await staging.sync(this.#id);
    if (parseUploadId(this.#found.id) === undefined) {
      for (const address of addressesOf(this.#found.id)) await adopted.add(address, this.#id);
    }
    const row = this.#row(checksum);
    const upload = !this.#isFinished ? row : this.#options.isTrusted ? await this.#publish(row) : this.#inspectable(row);
    await ledger.create(upload, true);
    if (upload.state === 'accepted') await staging.remove(this.#id);
    return upload;
  }

  /** A finished file does not change: where a link is possible, its bytes are not copied. */
  async #link(): Promise<Checksum | undefined> {
    const { staging } = this.#adopting;
    const { path } = this.#found;
    if (path === undefined || !this.#isFinished || !(staging instanceof DiskStaging)) return undefined;
    const staged = staging.path(this.#id);
    try {
      await link(path, staged);
    } catch (error) {
      if (NO_LINK.has(codeOf(error))) return undefined;
      throw error;
    }
    await syncDirectory(dirname(staged));
    if (!this.#options.isTrusted) return { checksum: 0, offset: 0 };
    return this.#read(async () => {});
  }

  async #copy(): Promise<Checksum> {
    const { length } = this.#found;
    const writer = await this.#adopting.staging.openWriter(this.#id, 0, { completeBytes: length });
    try {
      const checksum = await this.#read(async (piece) => {
        for (let at = 0; at < piece.byteLength; ) {
          const bytes = piece.subarray(at, at + writer.capacity);
          await writer.write([bytes]);
          at += bytes.byteLength;
        }
      });
      if ((await writer.end(true)) === 'sync-failed') throw new Error(`The bytes of ${this.#found.id} could not be made durable.`);
      return checksum;
    } finally {
      await writer.close();
    }
  }

  async #read(take: (piece: Buffer) => Promise<void>): Promise<Checksum> {
    const checksum = { checksum: 0, offset: 0 };
    for await (const piece of this.#found.content()) {
      advance(checksum, [piece]);
      await take(piece);
    }
    const { offset, id } = this.#found;
    if (checksum.offset !== offset)
      throw new Error(`${checksum.offset} bytes of ${id} were read instead of ${offset}: another program writes to it.`);
    return checksum;
  }

  #row({ checksum, offset: checksumOffset }: Checksum): UploadIn<'receiving'> {
    const { ledger, config } = this.#adopting;
    const { length, offset, createdAt, metadata: pairs } = this.#found;
    const metadata = new Map(Object.entries(pairs).map(([key, value]) => [key, value ?? '']));
    const rawMetadata = formatMetadata(metadata);
    const grantee = granteeOf(this.#options.owner);
    const row = newRow({ id: this.#id, grantee, length, metadata, rawMetadata }, ledger, config.expireAfterMs);
    return { ...row, createdAt, checksum, checksumOffset, provenOffset: offset };
  }

  /** The next server that starts inspects it. */
  #inspectable(row: UploadIn<'receiving'>): UploadIn<'inspecting'> {
    const { offset } = this.#found;
    const target = directoryFor(this.#id, new Date(row.createdAt));
    return { ...row, state: 'inspecting', length: offset, target, leaseOwner: null, retryAt: null, fault: null, expiresAt: null };
  }

  async #publish(row: UploadIn<'receiving'>): Promise<UploadIn<'accepted'>> {
    const { offset: length } = this.#found;
    // The day of its creation does not change: a later run publishes to the same directory.
    const directory = directoryFor(this.#id, new Date(row.createdAt));
    const name = row.name ?? nameFromType(this.#id, null);
    const published = { id: this.#id, directory, name, type: UNKNOWN_TYPE, attempt: 1, checksum: row.checksum };
    const target = await this.#adopting.storage.publish(published);
    const done = { checksumOffset: length, attempt: 1, expiresAt: null };
    return { ...row, ...done, state: 'accepted', length, name, target, type: UNKNOWN_TYPE, sha256: null };
  }

  #report(upload: Upload | undefined): void {
    const { id, offset, length, acknowledged } = this.#found;
    const size = length === null ? `${offset} bytes` : `${offset} of ${length} bytes`;
    const what = upload === undefined ? (this.#isFinished ? 'finished' : 'unfinished') : upload.state;
    const under = id === this.#id ? '' : `  as ${this.#id}`;
    const lost = acknowledged === undefined ? '' : `  a part is missing: its sender was told ${acknowledged}, and sends the rest again`;
    this.#adopting.print(`${id}  ${what}  ${size}${under}${lost}`);
  }
}

/** Adopted uploads count toward their owner's limits. */
function granteeOf(owner: string): Grantee {
  const isAnyones = owner === '';
  const source = isAnyones ? 'anonymous' : 'application';
  return { owner, source, credential: null, quota: isAnyones ? '' : quotaOfOwner(owner), limits: NO_LIMITS };
}

/** True when the original is not needed any more. It may be needed while the verdict is open, and after a refusal. */
function isOriginalObsolete({ state }: Upload): boolean {
  return state !== 'inspecting' && state !== 'rejected';
}
