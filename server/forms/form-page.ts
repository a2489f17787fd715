// What someone without script sees after sending a form.
import { formatBytes } from '../../shared/units.ts';
import type { UploadRecord } from '../../shared/upload.ts';

/** What became of one file of a form. */
export interface FormResult {
  /** As the sender named it. */
  filename: string;
  /** 201 accepted, 202 not decided yet (ask `record.url` + `/status`, as `Location` has it for one file), else the refusal's. */
  status: number;
  record?: UploadRecord;
  error?: { code: string; title: string; detail?: string };
}

/**
 * @param home the address of the upload page
 * @param isFollowable a link can ask for the verdict that is out: it needs no header to be known by
 */
export function renderResults(results: readonly FormResult[], home: string, isFollowable: boolean): string {
  const accepted = results.filter((result) => result.status === 201).length;
  const heading =
    accepted === results.length ? 'Everything arrived' : accepted === 0 ? 'Nothing was accepted' : 'Some files were not accepted';
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
    const follow = isFollowable && record.url !== null ? ` <a href="${escapeHtml(record.url)}/status">See how it goes</a>` : '';
    return `${name}<small>Arrived and still being inspected.${follow}</small>`;
  }
  return `${name}<small>${escapeHtml([error?.title, error?.detail].filter(Boolean).join(' '))}</small>`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
