import { definedOnly, type QueueOptions, type UploadOptions } from '../options.ts';
import type { UploadQueue } from './queue.ts';
import type { UploadHandle } from './snapshot.ts';

/** Options that all uploads of an application share. Options of a single file are left out. */
export type UploaderDefaults = Omit<QueueOptions, 'name' | 'type' | 'relativePath'>;

/**
 * `upload` and `createQueue` with defaults. Both may be destructured from the object.
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
   * Starts an upload, as the function `upload` does.
   *
   * @param options replace the defaults of the same name; `metadata` and `timeouts` are merged key by key. @default {}
   * @throws TypeError for an invalid source or option
   */
  readonly upload: (source: Source, options?: Partial<UploadOptions>) => UploadHandle;
  /**
   * Creates a queue, as the function `createQueue` does.
   *
   * @param options as for `upload`, with `concurrency`. @default {}
   * @throws TypeError for an invalid option
   */
  readonly queue: (options?: Partial<QueueOptions>) => UploadQueue<Source>;
}

/** Binds defaults to the two functions of a platform. */
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

/** Merges options into the defaults. An option that is undefined counts as absent. */
function withDefaults(defaults: UploaderDefaults, options: Partial<QueueOptions>): QueueOptions {
  const defined = definedOnly(options);
  const merged: QueueOptions = { ...defaults, ...defined };
  if (defaults.metadata && defined.metadata) merged.metadata = { ...defaults.metadata, ...definedOnly(defined.metadata) };
  if (defaults.timeouts && defined.timeouts) merged.timeouts = { ...defaults.timeouts, ...definedOnly(defined.timeouts) };
  return merged;
}
