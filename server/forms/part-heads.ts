// Removes control characters from the heads of a form's parts. A browser sends a file's name with all of its control characters except
// line breaks. RFC 9110, 5.5, allows none of them in a field, and busboy refuses the whole form for one. Names are made safe later, in
// one place for all protocols.
import { Transform } from 'node:stream';

const LF = 10;
const CRLF = Buffer.from('\r\n');
/** All control characters except tabs, line breaks and NUL. A form with a NUL is refused, as in tus metadata. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: this expression removes them
const CONTROLS = /[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]/g;
/** busboy accepts no longer head of a part, and Node no longer head of a request. */
const MAX_LINE_BYTES = 16 * 1024;

/** Passes the form through with cleaned heads of its parts. @param boundary from the form's Content-Type */
export function cleanPartHeads(boundary: string): Transform {
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  // Starts with a line break, since the first delimiter may stand at the start of the body, without the line break that others have.
  let held: Buffer = CRLF;
  let isHead = false;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      let rest = Buffer.concat([held, chunk]);
      const take = (bytes: number) => {
        const start = rest.subarray(0, bytes);
        rest = rest.subarray(bytes);
        return start;
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
