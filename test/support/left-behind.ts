// What remains in this process of a server that was closed, or did not start.
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

/**
 * Open files below the directory, and Landfall's threads by name. Only Linux shows them; elsewhere the list is empty. A thread that has
 * ended stays listed for a moment, so ask until it is gone.
 */
export function leftBehind(directory: string): string[] {
  if (!existsSync('/proc/self/fd')) return [];
  const files = readdirSync('/proc/self/fd').map((descriptor) => unlessGone(() => readlinkSync(`/proc/self/fd/${descriptor}`)));
  const threads = readdirSync('/proc/self/task').map((id) => unlessGone(() => readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim()));
  return [...files.filter((path) => path.startsWith(directory)), ...threads.filter((name) => name.startsWith('landfall-'))];
}

function unlessGone(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
