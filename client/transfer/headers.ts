import { definedOnly, type UploadHeaders } from '../options.ts';

/** RFC 9110, 5.1: a token. */
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110, 5.5: Latin-1 without control characters other than the tab. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * The headers that the application named, without undefined values.
 *
 * @throws TypeError when no request could carry them. The message does not contain values, which may be secret
 */
export function sendableHeaders(headers: UploadHeaders): UploadHeaders {
  // A `Headers` object has no properties that could be sent.
  if (typeof headers !== 'object' || Symbol.iterator in headers) throw new TypeError('Headers must be an object of names and values.');
  const defined = definedOnly(headers);
  for (const [name, value] of Object.entries<unknown>(defined)) {
    if (!NAME.test(name)) throw new TypeError(`“${name}” is not the name of a header.`);
    const isText = typeof value === 'string' || typeof value === 'number';
    if (!isText || !VALUE.test(String(value))) throw new TypeError(`The value of the header “${name}” is not one line of Latin-1 text.`);
  }
  return defined;
}
