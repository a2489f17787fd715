import { create } from 'content-disposition';
import { asciiFileName } from '../../shared/filename.ts';

/** `Content-Disposition` of a download: an attachment under its own name, and a plain one for programs that read only that. */
export function dispositionOf(name: string): string {
  const fallback = asciiFileName(name);
  return fallback === name ? create(name) : create(name, { fallback });
}
