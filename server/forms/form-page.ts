// The page that a browser without script shows after it has sent a form.
import { formatBytes } from '../../shared/units.ts';
import type { UploadRecord } from '../../shared/upload.ts';

/** The result of one file of a form. */
export interface FormResult {
  /** The sender's name of the file. */
  filename: string;
  /** 201 accepted; 202 still inspected (ask `record.url` + `/status`, the `Location` of a single file); else the status of the refusal. */
  status: number;
  record?: UploadRecord;
  error?: { code: string; title: string; detail?: string };
}

/**
 * @param home the address of the upload page
 * @param isFollowable true when a plain link can ask for a pending verdict, since it needs no Authorization header
 */
export function renderResults(results: readonly FormResult[], home: string, isFollowable: boolean): string {
  const accepted = results.filter((result) => result.status === 201).length;
  const heading =
    accepted === results.length ? 'Upload complete' : accepted === 0 ? 'Nothing was accepted' : 'Some files were not accepted';
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${heading}</title>
<style>
  :root { color-scheme: light dark; }
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; }
  li { margin: .75rem 0; overflow-wrap: anywhere; }
  small { display: block; opacity: .75; }
</style>
<h1>${heading}</h1>
<ul>
${results.map((result) => `  <li>${describe(result, isFollowable)}</li>`).join('\n')}
</ul>
<p><a href="${escapeHtml(home)}">Upload more</a></p>
</html>
`;
}

function describe({ filename, status, record, error }: FormResult, isFollowable: boolean): string {
  const name = escapeHtml(record?.name ?? filename);
  if (status === 201 && record) {
    const shown = record.url === null ? name : `<a href="${escapeHtml(record.url)}">${name}</a>`;
    return `${shown}<small>Accepted, ${formatBytes(record.length ?? 0)}</small>`;
  }
  if (status === 202 && record) {
    const follow = isFollowable && record.url !== null ? ` <a href="${escapeHtml(record.url)}/status">Show the status</a>` : '';
    return `${name}<small>Received. It is still being inspected.${follow}</small>`;
  }
  return `${name}<small>${escapeHtml([error?.title, error?.detail].filter(Boolean).join(' '))}</small>`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
