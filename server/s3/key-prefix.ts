/** What an object carries beside its bytes. */
export interface ObjectHeaders {
  ContentType?: string;
  ContentDisposition?: string;
}

/** A bucket, and a prefix before every key in it. */
export class KeyPrefix {
  readonly bucket: string;
  readonly #prefix: string;

  /** @param prefix ends with a slash, or is empty */
  constructor(bucket: string, prefix: string) {
    this.bucket = bucket;
    this.#prefix = prefix;
  }

  /** The parameters that name an object. */
  at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.bucket, Key: this.#prefix + key };
  }

  /** What S3 names an object, without the prefix. */
  below(key = ''): string {
    return key.slice(this.#prefix.length);
  }

  /** An object as the source of a copy. */
  source(key: string): string {
    return `${this.bucket}/${(this.#prefix + key).split('/').map(encodeURIComponent).join('/')}`;
  }
}
