import { create } from 'content-disposition';
import { asciiFileName } from '../../shared/filename.ts';

/** `Content-Disposition` of a download: an attachment with its name, and with a plain name for programs that only read that. */
export function dispositionOf(name: string): string {
  const fallback = asciiFileName(name);
  return fallback === name ? create(name) : create(name, { fallback });
}
