// The meaning of clamd's answers to INSTREAM (clamd(8); tested with 1.4). Only one of them says that a file is clean.
import type { ScanReport } from '../../../shared/upload.ts';

/** clamd reached a limit of its own, or could not look inside: it has not scanned all of the file. */
const NOT_SCANNED = /^Heuristics\.(?:Limits|Encrypted)\./;

/** @throws Error for an answer that is about neither the file nor its size: a fault of the scanner */
export function readReply(reply: string): ScanReport {
  if (reply === 'stream: OK') return { outcome: 'clean' };
  const [, found] = /^stream: (.+) FOUND$/s.exec(reply) ?? [];
  if (found !== undefined && !NOT_SCANNED.test(found)) return { outcome: 'malware', detail: found };
  if (found !== undefined) return { outcome: 'unscannable', detail: `was not scanned completely (${found})` };
  if (reply === 'INSTREAM size limit exceeded. ERROR') return { outcome: 'unscannable', detail: 'is larger than the scanner accepts' };
  throw new Error(`clamd answered “${reply.slice(0, 200)}”.`);
}
