// Checks that the bucket can be used: at the start, with a message for the operator, and while the server runs, for its health endpoint.
import { HeadBucketCommand, ListMultipartUploadsCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import type { BucketOptions } from './bucket.ts';
import { createClient } from './client.ts';
import { BucketUnusable, outcome, S3Fault } from './fault.ts';
import { KeyPrefix } from './key-prefix.ts';

export class BucketCheck {
  readonly #options: BucketOptions;
  readonly #prefix: KeyPrefix;
  /** Its own connection, without retries: busy connections elsewhere must not make the bucket look unusable. */
  readonly #client: S3Client;

  constructor(options: BucketOptions) {
    this.#options = options;
    this.#prefix = new KeyPrefix(options.bucket, options.prefix);
    this.#client = createClient(options, 1, 1);
  }

  /** The check at the start, with the retries of all other requests. @throws BucketUnusable */
  async requireUsable(): Promise<void> {
    const client = createClient(this.#options, 1);
    try {
      await look(client, this.#prefix);
      await requireLists(client, this.#prefix);
    } catch (error) {
      throw error instanceof S3Fault ? explain(error, this.#options) : error;
    } finally {
      client.destroy();
    }
  }

  /** One check without retries, which ends when the signal aborts. @throws BucketUnusable */
  async look(signal: AbortSignal): Promise<void> {
    try {
      await look(this.#client, this.#prefix, signal);
    } catch (error) {
      throw error instanceof S3Fault ? explain(error, this.#options) : error;
    }
  }

  close(): void {
    this.#client.destroy();
  }
}

/**
 * Checks the address, the bucket and the credentials by HEAD and a list. Only writing would show the rights to write. A refused HEAD has
 * no body with a reason, and the credentials may be allowed to list below the prefix only, so after a refused HEAD the list decides.
 */
async function look(client: S3Client, prefix: KeyPrefix, signal?: AbortSignal): Promise<void> {
  const options = signal === undefined ? {} : { abortSignal: signal };
  try {
    await outcome('HeadBucket', client.send(new HeadBucketCommand({ Bucket: prefix.bucket }), options));
  } catch (error) {
    if (!(error instanceof S3Fault) || error.status === undefined || error.status >= 500) throw error;
    const list = new ListObjectsV2Command({ Bucket: prefix.bucket, Prefix: prefix.at('').Key, MaxKeys: 1 });
    await outcome('ListObjectsV2', client.send(list, options));
  }
}

/** The sweeper finds leftovers by these lists, long after the start. So the start already fails when they are denied. */
async function requireLists(client: S3Client, prefix: KeyPrefix): Promise<void> {
  const where = { Bucket: prefix.bucket, Prefix: prefix.at('').Key };
  await outcome('ListObjectsV2', client.send(new ListObjectsV2Command({ ...where, MaxKeys: 1 })));
  try {
    await outcome('ListMultipartUploads', client.send(new ListMultipartUploadsCommand({ ...where, MaxUploads: 1 })));
  } catch (error) {
    // Some servers have no such list.
    if (error instanceof S3Fault && error.status === 403) throw error;
  }
}

interface BucketLocation {
  server: string;
  bucket: string;
  region: string;
}

const OTHER_REGION = ({ bucket, region }: BucketLocation) =>
  `The bucket "${bucket}" is not in the region "${region}". Set LANDFALL_S3_REGION.`;
const UNKNOWN_KEY = ({ server }: BucketLocation) => `${server} does not know the access key. Look at AWS_ACCESS_KEY_ID.`;
const EXPIRED = ({ server }: BucketLocation) => `The session of the credentials for ${server} has expired.`;

/** Messages for errors that an operator has to mend, by the names that S3 and the SDK give them. */
const MISTAKES = new Map<string, (at: BucketLocation) => string>([
  [
    'CredentialsProviderError',
    () => 'There are no credentials for S3. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this machine a profile or a role.',
  ],
  ['NoSuchBucket', ({ server, bucket }) => `There is no bucket "${bucket}" at ${server}. Make it, or set LANDFALL_S3_BUCKET.`],
  ['InvalidAccessKeyId', UNKNOWN_KEY],
  // versitygw's name for it.
  ['XAdminUserNotFound', UNKNOWN_KEY],
  ['SignatureDoesNotMatch', ({ server }) => `The secret is not that of the access key, says ${server}. Look at AWS_SECRET_ACCESS_KEY.`],
  [
    'AccessDenied',
    ({ server, bucket }) => `${server} does not let these credentials use the bucket "${bucket}". docs/s3.md says which rights they need.`,
  ],
  ['RequestTimeTooSkewed', ({ server }) => `The clock of this machine and that of ${server} are too far apart.`],
  ['PermanentRedirect', OTHER_REGION],
  ['AuthorizationHeaderMalformed', OTHER_REGION],
  ['IllegalLocationConstraintException', OTHER_REGION],
  ['ExpiredToken', EXPIRED],
  ['InvalidToken', EXPIRED],
]);

function explain(fault: S3Fault, { bucket, endpoint, region, forcePathStyle }: BucketOptions): BucketUnusable {
  const server = endpoint === '' ? `AWS in ${region}` : endpoint;
  const mistake = MISTAKES.get(fault.status === 403 && !MISTAKES.has(fault.reason) ? 'AccessDenied' : fault.reason);
  if (mistake) return new BucketUnusable(mistake({ server, bucket, region }), true, fault);
  const message = messageOf(fault);
  if (fault.status !== undefined) {
    return new BucketUnusable(
      `${server} does not answer as S3 would for the bucket "${bucket}": ${fault.status}, ${message}.`,
      false,
      fault,
    );
  }
  // By default the bucket is part of the host name, which servers other than AWS seldom support.
  const isName = /ENOTFOUND|EAI_AGAIN/.test(message) && endpoint !== '' && !forcePathStyle;
  const settings = isName ? 'LANDFALL_S3_ENDPOINT and LANDFALL_S3_FORCE_PATH_STYLE' : 'LANDFALL_S3_ENDPOINT';
  return new BucketUnusable(`S3 can't be reached at ${server}: ${message}. Look at ${settings}.`, false, fault);
}

/** The message of the original error, on one line. */
function messageOf({ cause, reason }: S3Fault): string {
  const message = cause instanceof Error ? cause.message : '';
  return (message === '' || message === 'UnknownError' ? reason : message).replace(/\s+/g, ' ').trim();
}
