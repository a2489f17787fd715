// The usual small form: one file, and nothing that needs interpretation. Parsing it takes a search for its boundary, where busboy
// takes three streams. busboy reads every other form, also one that this file cannot read for any reason.

/** The head of a file's part as browsers and curl write it. Escapes, other characters and other headers are left to busboy. */
const HEAD =
  /^Content-Disposition: form-data; name="[ !#$&-[\]-~]+"; filename="([ !#$&-[\]-~]+)"\r\nContent-Type: [\w!#$&^.+-]+\/[\w!#$&^.+-]+$/;
const HEAD_END = '\r\n\r\n';
const MAX_HEAD_BYTES = 1024;

export interface PlainFile {
  filename: string;
  /** At least one byte, in the memory of the form. */
  bytes: Buffer;
}

/**
 * Returns the only part of a whole form; undefined unless that is a file with bytes and with a plain head.
 * @param boundary from the form's Content-Type
 */
export function readPlainForm(form: Buffer, boundary: string): PlainFile | undefined {
  const first = `--${boundary}\r\n`;
  if (form.toString('latin1', 0, first.length) !== first) return undefined;
  const headEnd = form.indexOf(HEAD_END, first.length, 'latin1');
  if (headEnd === -1 || headEnd - first.length > MAX_HEAD_BYTES) return undefined;
  const [, filename] = HEAD.exec(form.toString('latin1', first.length, headEnd)) ?? [];
  if (filename === undefined) return undefined;
  const start = headEnd + HEAD_END.length;
  // Searched from the head on: busboy finds a boundary there, too.
  const delimiter = `\r\n--${boundary}`;
  const end = form.indexOf(delimiter, first.length, 'latin1');
  if (end <= start) return undefined;
  const last = form.toString('latin1', end + delimiter.length);
  if (last !== '--\r\n' && last !== '--') return undefined;
  return { filename, bytes: form.subarray(start, end) };
}
