// Addresses of uploads that were adopted from another server and whose old ids are not Landfall ids.
import { createHash } from 'node:crypto';
import type { Engine } from './engine.ts';
import type { UploadId } from './upload-id.ts';

/** The longest segment that a request's path may have. */
const MAX_LENGTH = 1024;

export class AdoptedIds {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /**
   * Finds the upload whose address ends in this path segment. The segment is looked up as a whole and never parsed.
   * Resolves to undefined when there is no such upload.
   */
  async find(segment: string): Promise<UploadId | undefined> {
    const address = decoded(segment);
    if (address === undefined || address.length > MAX_LENGTH || !isStorable(address)) return undefined;
    const { db } = this.#engine;
    return (await db.selectFrom('adoptedIds').select('uploadId').where('address', '=', address).executeTakeFirst())?.uploadId;
  }

  /**
   * Call before adding the upload's own row: making that row durable makes this one durable, too.
   * @throws when it was rolled back: an upload without its address could not be resumed
   */
  async add(address: string, uploadId: UploadId): Promise<void> {
    await this.#engine.db
      .insertInto('adoptedIds')
      .values({ address, uploadId })
      .onConflict((conflict) => conflict.column('address').doNothing())
      .execute();
    await this.#engine.committed();
  }
}

/** The Landfall id of an adopted upload: the same each time the upload is adopted, and as hard to guess as its old id. */
export function idFor(oldId: string): UploadId {
  return createHash('sha256').update(`adopted\0${oldId}`).digest('hex').slice(0, 32) as UploadId;
}

/** The segments that the stock servers' addresses end in: the id, or its base64url form (as in their documentation) when it has slashes. */
export function addressesOf(oldId: string): string[] {
  const segment = oldId.includes('/') ? Buffer.from(oldId).toString('base64url') : oldId;
  return segment.length <= MAX_LENGTH && isStorable(segment) ? [segment] : [];
}

/** PostgreSQL stores no NUL, and UTF-8 encodes no lone surrogate. */
function isStorable(text: string): boolean {
  return text.isWellFormed() && !/\p{Cc}/u.test(text);
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}
