// Addresses of uploads that began on another server, where they are none of Landfall's ids.
import { createHash } from 'node:crypto';
import type { Engine } from './engine.ts';
import type { UploadId } from './upload-id.ts';

/** As long as any that a path may have in it. */
const MAX_LENGTH = 1024;

export class AdoptedIds {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /**
   * The upload whose address ends in this segment of a path, as it was sent. Nothing is read from the text: it is looked up as a whole.
   * Undefined: there is none.
   */
  async find(segment: string): Promise<UploadId | undefined> {
    const address = decoded(segment);
    if (address === undefined || address.length > MAX_LENGTH || !isStorable(address)) return undefined;
    const { db } = this.#engine;
    return (await db.selectFrom('adoptedIds').select('uploadId').where('address', '=', address).executeTakeFirst())?.uploadId;
  }

  /** Before the upload's own row, whose durable change makes this durable, too. */
  async add(address: string, uploadId: UploadId): Promise<void> {
    await this.#engine.db
      .insertInto('adoptedIds')
      .values({ address, uploadId })
      .onConflict((conflict) => conflict.column('address').doNothing())
      .execute();
  }
}

/** The id that an upload of this name has here: the same each time that it is adopted, and as hard to guess as its old one. */
export function idFor(oldId: string): UploadId {
  return createHash('sha256').update(`adopted\0${oldId}`).digest('hex').slice(0, 32) as UploadId;
}

/** The segments that the stock servers' addresses end in: the id, or, where that has slashes, what their documents make of it. */
export function addressesOf(oldId: string): string[] {
  const segment = oldId.includes('/') ? Buffer.from(oldId).toString('base64url') : oldId;
  return segment.length <= MAX_LENGTH && isStorable(segment) ? [segment] : [];
}

/** PostgreSQL keeps no NUL, and UTF-8 has no half of a surrogate pair. */
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
