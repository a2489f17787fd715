// A separate process that keeps a disk busy: it writes 1 MiB to a file and waits for the disk, again and again.
// Argument: the file. Runs until it gets a signal.
import { randomBytes } from 'node:crypto';
import { fsyncSync, openSync, writeSync } from 'node:fs';

const PIECE = randomBytes(1024 * 1024);
/** Then it starts at the front again, so that it does not fill the disk. */
const PIECES = 256;

const [path = ''] = process.argv.slice(2);
const file = openSync(path, 'w');
for (let piece = 0; ; piece = (piece + 1) % PIECES) {
  writeSync(file, PIECE, 0, PIECE.byteLength, piece * PIECE.byteLength);
  fsyncSync(file);
}
