// Forms as browsers and curl send them, and as a broken sender does.

export interface FormFile {
  name: string;
  content: string | Uint8Array<ArrayBuffer>;
}

/** The Accept header of curl by default. */
export const CURL = { Accept: '*/*' };
/** The Accept header of a browser when a person submits a form. */
export const BROWSER = { Accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' };

export function sendForm(url: string, files: readonly FormFile[], headers: Record<string, string> = CURL): Promise<Response> {
  const form = new FormData();
  form.append('comment', 'a field that is no file');
  for (const { name, content } of files) form.append('file', new File([content], name));
  return fetch(url, { method: 'POST', headers, body: form });
}

const BOUNDARY = 'boundary-of-the-test';
export const MULTIPART: string = `multipart/form-data; boundary=${BOUNDARY}`;

export function partHead(filename: string): string {
  return `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="${filename}"\r\nContent-Type: application/octet-stream\r\n\r\n`;
}

export const FORM_END: string = `\r\n--${BOUNDARY}--\r\n`;
