import type { ResumeRecord } from '../../resume/store.ts';

/** By what can be told without reading it; the content is compared before anything is sent. */
export function isSameFile(record: ResumeRecord, file: File): boolean {
  const { name, size, lastModified } = record;
  return file.name === name && file.size === size && (lastModified === null || lastModified === file.lastModified);
}
