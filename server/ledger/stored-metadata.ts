// The metadata of a row. It was validated at the creation, and is parsed here without a limit of its length: values that the
// identity's limits add may make it longer than a sender's own metadata may be.
import type { Upload } from './upload.ts';

/** The sender's metadata, with the values that the identity's limits set. */
export function storedMetadata({ metadata }: Pick<Upload, 'metadata'>): Record<string, string> {
  const pairs = metadata
    .split(',')
    .map((pair) => pair.trim().split(/[ \t]+/))
    .filter(([key]) => key !== '');
  return Object.fromEntries(pairs.map(([key = '', value = '']) => [key, Buffer.from(value, 'base64').toString()]));
}
