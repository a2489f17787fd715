// The metadata of a row, which was judged when it came: what stands beside a sender's own may make it longer than a sender may.
import type { Upload } from './upload.ts';

/** As the sender gave it, and what its identity put in its place. */
export function storedMetadata({ metadata }: Pick<Upload, 'metadata'>): Record<string, string> {
  const pairs = metadata
    .split(',')
    .map((pair) => pair.trim().split(/[ \t]+/))
    .filter(([key]) => key !== '');
  return Object.fromEntries(pairs.map(([key = '', value = '']) => [key, Buffer.from(value, 'base64').toString()]));
}
