// What a form says ahead of each file, without the control characters that a file's name may bring. A browser sends a name as it
// is, but for quotes and line breaks; RFC 9110, 5.5, allows none of them in a field, and busboy refuses the whole form for one.
// What becomes of a name is decided later, in one place for every door.
import { Transform } from 'node:stream';

const LF = 10;
const CRLF = Buffer.from('\r\n');
/** All but tabs and line breaks. NUL stays, and is refused: metadata of tus can't bring one either. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
const CONTROLS = /[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]/g;
/** busboy takes no longer head, and Node none of a request. */
const MAX_LINE_BYTES = 16 * 1024;

/** The form as it is, but for the heads of its parts. @param boundary as its Content-Type names it */
export function cleanPartHeads(boundary: string): Transform {
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  // The line break before the first delimiter is that of the request's head; before any delimiter one may stand in the form, too.
  let held: Buffer = CRLF;
  let isHead = false;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      let rest = Buffer.concat([held, chunk]);
      const take = (bytes: number) => {
        const taken = rest.subarray(0, bytes);
        rest = rest.subarray(bytes);
        return taken;
      };
      for (let isShort = false; !isShort; ) {
        if (isHead) {
          const end = rest.indexOf(LF) + 1;
          isShort = end === 0 && rest.length <= MAX_LINE_BYTES;
          if (isShort) break;
          const line = take(end || rest.length)
            .toString('latin1')
            .replace(CONTROLS, '');
          this.push(line, 'latin1');
          isHead = line !== '\r\n';
        } else {
          const at = rest.indexOf(delimiter);
          const end = at + delimiter.length;
          isShort = at === -1 || rest.length < end + CRLF.length;
          this.push(take(isShort ? (at === -1 ? Math.max(rest.length - delimiter.length + 1, 0) : at) : end));
          isHead = !isShort && rest.subarray(0, CRLF.length).equals(CRLF);
          if (isHead) this.push(take(CRLF.length));
        }
      }
      held = rest;
      done();
    },
    flush(done) {
      done(null, held);
    },
  });
}
