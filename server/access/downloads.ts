// Who may download an accepted file: senders that have access to it, or anyone with an address signed for this file and a time.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { UploadError } from '../../shared/errors.ts';
import type { Facts } from '../ledger/facts.ts';
import type { Upload } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { Identity } from './identity.ts';

/**
 * Who may download without a signed address. `owner`: senders with access to the upload. `anyone`: everyone with its id. `signed`:
 * nobody. With `off`, signed addresses do not work either.
 */
export const DOWNLOAD_RULES = ['owner', 'anyone', 'signed', 'off'] as const;
export type DownloadRule = (typeof DOWNLOAD_RULES)[number];

export interface DownloadsOptions {
  rule: DownloadRule;
  /** The same in every process, for as long as the ledger exists. */
  secret: Buffer;
  /** Lifetime of signed addresses in records. */
  lifetimeMs: number;
}

const SECRET_FACT = 'download-secret';

/** Created by the first process that needs it, and durable before anything is signed with it. */
export async function downloadSecret(facts: Facts): Promise<Buffer> {
  const known = await facts.get(SECRET_FACT);
  return Buffer.from(known ?? (await facts.setFirst(SECRET_FACT, randomBytes(32).toString('base64url'))), 'base64url');
}

export class Downloads {
  readonly #options: DownloadsOptions;

  constructor(options: DownloadsOptions) {
    this.#options = options;
  }

  get lifetimeMs(): number {
    return this.#options.lifetimeMs;
  }

  /**
   * True when anyone with this address may download the file; false when the sender must be identified. An invalid signature is
   * refused, never treated as a missing one.
   *
   * @param query without the question mark
   * @throws UploadError 403
   */
  isOpen(id: UploadId, query: string | undefined): boolean {
    const { rule } = this.#options;
    if (rule === 'off') throw new UploadError('ERR_ACTION_NOT_ALLOWED');
    const parameters = new URLSearchParams(query);
    if (parameters.has('signature') || parameters.has('expires')) {
      this.#requireSignature(id, parameters);
      return true;
    }
    if (rule === 'signed')
      throw new UploadError('ERR_ACTION_NOT_ALLOWED', { detail: 'This server gives out files at signed addresses only.' });
    return rule === 'anyone';
  }

  /** Signs an address that works for everyone. @param endsAt by the wall clock, in milliseconds; rounded up to a second */
  sign(address: string, id: UploadId, endsAt: number): string {
    if (this.#options.rule === 'off') throw new UploadError('ERR_ACTION_NOT_ALLOWED', { detail: 'LANDFALL_DOWNLOADS is off.' });
    const expires = String(Math.ceil(endsAt / 1000));
    return `${address}?expires=${expires}&signature=${this.#signature(id, expires).toString('base64url')}`;
  }

  /** The file's address in an upload's record: an address that the record's reader can use; null when the reader may not have the file. */
  addressFor({ limits: { actions }, isByHeader, endsAt }: Identity, upload: Upload, collectionUrl: string): string | null {
    const { rule, lifetimeMs } = this.#options;
    const address = `${collectionUrl}/${upload.id}`;
    if (upload.state !== 'accepted') return address;
    if (rule === 'off' || (actions !== undefined && !actions.includes('download'))) return null;
    // The plain address is enough, unless the reader's credential goes in a header, which a link on a page cannot send.
    if (rule !== 'signed' && !(rule === 'owner' && isByHeader)) return address;
    // A sender whose credential has expired may still read the record, but gets no address, and earlier addresses have expired, too.
    const now = Date.now();
    const until = Math.min(now + lifetimeMs, endsAt ?? Number.POSITIVE_INFINITY);
    return until > now ? this.sign(address, upload.id, until) : null;
  }

  #requireSignature(id: UploadId, parameters: URLSearchParams): void {
    const expires = parameters.get('expires') ?? '';
    const given = Buffer.from(parameters.get('signature') ?? '', 'base64url');
    const right = this.#signature(id, expires);
    if (given.length !== right.length || !timingSafeEqual(given, right)) throw new UploadError('ERR_FORBIDDEN');
    if (Number(expires) * 1000 <= Date.now()) throw new UploadError('ERR_ADDRESS_EXPIRED');
  }

  #signature(id: UploadId, expires: string): Buffer {
    return createHmac('sha256', this.#options.secret).update(`download\n${id}\n${expires}`).digest();
  }
}
