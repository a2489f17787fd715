/** Headers that are stored with an object. */
export interface ObjectHeaders {
  ContentType?: string;
  ContentDisposition?: string;
}

/** A bucket with a prefix of every key. */
export class KeyPrefix {
  readonly bucket: string;
  readonly #prefix: string;

  /** @param prefix ends with a slash, or is empty */
  constructor(bucket: string, prefix: string) {
    this.bucket = bucket;
    this.#prefix = prefix;
  }

  /** The request parameters that name an object. */
  at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.bucket, Key: this.#prefix + key };
  }

  /** An object's key in S3 without the prefix. */
  below(key = ''): string {
    return key.slice(this.#prefix.length);
  }

  /** The name of an object as the source of a copy. */
  source(key: string): string {
    return `${this.bucket}/${(this.#prefix + key).split('/').map(encodeURIComponent).join('/')}`;
  }
}
