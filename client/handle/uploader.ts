import type { QueueOptions, UploadOptions } from '../options.ts';
import type { UploadQueue } from './queue.ts';
import type { UploadHandle } from './snapshot.ts';

/** What every upload of an application has in common. What belongs to one file is given with it. */
export type UploaderDefaults = Omit<QueueOptions, 'name' | 'type' | 'relativePath'>;

/**
 * `upload` and `createQueue` with defaults. Both can be taken out of the object.
 *
 * @example
 * ```ts
 * import { createUploader } from 'landfall';
 *
 * const { upload, queue } = createUploader({ endpoint: '/files' });
 * ```
 */
export interface Uploader<Source> {
  /**
   * Starts at once, as the function `upload` does.
   *
   * @param options replace the defaults of the same name; `metadata` and `timeouts` are merged key by key. @default {}
   * @throws TypeError for a source, endpoint or number that makes no sense
   */
  readonly upload: (source: Source, options?: Partial<UploadOptions>) => UploadHandle;
  /**
   * Makes a queue, as the function `createQueue` does.
   *
   * @param options as for `upload`, with `concurrency`. @default {}
   * @throws TypeError for an endpoint or number that makes no sense
   */
  readonly queue: (options?: Partial<QueueOptions>) => UploadQueue<Source>;
}

/** Binds the two functions of a platform. */
export function bindUploader<Source>(
  defaults: UploaderDefaults,
  upload: (source: Source, options: UploadOptions) => UploadHandle,
  createQueue: (options: QueueOptions) => UploadQueue<Source>,
): Uploader<Source> {
  return {
    upload: (source, options = {}) => upload(source, withDefaults(defaults, options)),
    queue: (options = {}) => createQueue(withDefaults(defaults, options)),
  };
}

/** An option that is there and undefined counts as not given, as it does where there are no defaults. */
function withDefaults(defaults: UploaderDefaults, options: Partial<QueueOptions>): QueueOptions {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<QueueOptions>;
  const merged: QueueOptions = { ...defaults, ...given };
  if (defaults.metadata && given.metadata) merged.metadata = { ...defaults.metadata, ...given.metadata };
  if (defaults.timeouts && given.timeouts) merged.timeouts = { ...defaults.timeouts, ...given.timeouts };
  return merged;
}
