// Whether the bucket can be used: at start with a sentence for whoever set it up, and while the server runs for those who watch.
import { HeadBucketCommand, ListMultipartUploadsCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import type { BucketOptions } from './bucket.ts';
import { createClient } from './client.ts';
import { BucketUnusable, outcome, S3Fault } from './fault.ts';
import { KeyPrefix } from './key-prefix.ts';

export class BucketCheck {
  readonly #options: BucketOptions;
  readonly #place: KeyPrefix;
  /** A connection of its own, and no second attempts: a full house elsewhere says nothing of the bucket. */
  readonly #client: S3Client;

  constructor(options: BucketOptions) {
    this.#options = options;
    this.#place = new KeyPrefix(options.bucket, options.prefix);
    this.#client = createClient(options, 1, 1);
  }

  /** As patient as any request to S3 is. @throws BucketUnusable */
  async requireUsable(): Promise<void> {
    const client = createClient(this.#options, 1);
    try {
      await look(client, this.#place);
      await requireLists(client, this.#place);
    } catch (error) {
      throw error instanceof S3Fault ? explain(error, this.#options) : error;
    } finally {
      client.destroy();
    }
  }

  /** One look, given up when the signal says so. @throws BucketUnusable */
  async look(signal: AbortSignal): Promise<void> {
    try {
      await look(this.#client, this.#place, signal);
    } catch (error) {
      throw error instanceof S3Fault ? explain(error, this.#options) : error;
    }
  }

  close(): void {
    this.#client.destroy();
  }
}

/**
 * Reading and listing show that the address, the bucket and the credentials are right; rights to write are shown by writing only.
 * An answer to HEAD has no body to give a reason in, and listing may be allowed below the prefix alone: so where it is refused,
 * listing decides.
 */
async function look(client: S3Client, place: KeyPrefix, signal?: AbortSignal): Promise<void> {
  const options = signal === undefined ? {} : { abortSignal: signal };
  try {
    await outcome('HeadBucket', client.send(new HeadBucketCommand({ Bucket: place.bucket }), options));
  } catch (error) {
    if (!(error instanceof S3Fault) || error.status === undefined || error.status >= 500) throw error;
    const list = new ListObjectsV2Command({ Bucket: place.bucket, Prefix: place.at('').Key, MaxKeys: 1 });
    await outcome('ListObjectsV2', client.send(list, options));
  }
}

/** What is left over is found by these lists, later and beside all else: that they are denied is for the start to say. */
async function requireLists(client: S3Client, place: KeyPrefix): Promise<void> {
  const where = { Bucket: place.bucket, Prefix: place.at('').Key };
  await outcome('ListObjectsV2', client.send(new ListObjectsV2Command({ ...where, MaxKeys: 1 })));
  try {
    await outcome('ListMultipartUploads', client.send(new ListMultipartUploadsCommand({ ...where, MaxUploads: 1 })));
  } catch (error) {
    // Some servers have no such list.
    if (error instanceof S3Fault && error.status === 403) throw error;
  }
}

interface Whereabouts {
  server: string;
  bucket: string;
  region: string;
}

const OTHER_REGION = ({ bucket, region }: Whereabouts) =>
  `The bucket "${bucket}" is not in the region "${region}". Set LANDFALL_S3_REGION.`;
const UNKNOWN_KEY = ({ server }: Whereabouts) => `${server} does not know the access key. Look at AWS_ACCESS_KEY_ID.`;
const OVER = ({ server }: Whereabouts) => `The session of the credentials for ${server} is over.`;

/** What somebody has to do something about, by what S3 and the SDK call it. */
const MISTAKES = new Map<string, (at: Whereabouts) => string>([
  [
    'CredentialsProviderError',
    () => 'There are no credentials for S3. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this machine a profile or a role.',
  ],
  ['NoSuchBucket', ({ server, bucket }) => `There is no bucket "${bucket}" at ${server}. Make it, or set LANDFALL_S3_BUCKET.`],
  ['InvalidAccessKeyId', UNKNOWN_KEY],
  // versitygw's word for it.
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
  ['ExpiredToken', OVER],
  ['InvalidToken', OVER],
]);

function explain(fault: S3Fault, { bucket, endpoint, region, forcePathStyle }: BucketOptions): BucketUnusable {
  const server = endpoint === '' ? `AWS in ${region}` : endpoint;
  const mistake = MISTAKES.get(fault.status === 403 && !MISTAKES.has(fault.reason) ? 'AccessDenied' : fault.reason);
  if (mistake) return new BucketUnusable(mistake({ server, bucket, region }), true, fault);
  const said = wordsOf(fault);
  if (fault.status !== undefined) {
    return new BucketUnusable(`${server} does not answer as S3 would for the bucket "${bucket}": ${fault.status}, ${said}.`, false, fault);
  }
  // A bucket is part of the host's name by default, which servers other than AWS are seldom set up for.
  const isName = /ENOTFOUND|EAI_AGAIN/.test(said) && endpoint !== '' && !forcePathStyle;
  const settings = isName ? 'LANDFALL_S3_ENDPOINT and LANDFALL_S3_FORCE_PATH_STYLE' : 'LANDFALL_S3_ENDPOINT';
  return new BucketUnusable(`S3 can't be reached at ${server}: ${said}. Look at ${settings}.`, false, fault);
}

/** In the words of whoever failed, on one line. */
function wordsOf({ cause, reason }: S3Fault): string {
  const said = cause instanceof Error ? cause.message : '';
  return (said === '' || said === 'UnknownError' ? reason : said).replace(/\s+/g, ' ').trim();
}
