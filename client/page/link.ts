// The page of an upload link, `link#<token>`, where a guest uploads files.
import '../element/define.ts';
import { UploadError } from '../../shared/errors.ts';
import { SENDER_METADATA } from '../../shared/protocol.ts';
import { storeWithPrefix } from '../browser/store.ts';
import { h } from '../element/dom.ts';
import { fetchConfig, type ServerConfig } from '../element/policy.ts';
import { bearer } from '../element/token.ts';
import type { ResumeStore } from '../resume/store.ts';
import { type LinkMessage, messageOf, termsOf, usedUp } from './link-text.ts';
import { showProgressInTitle } from './progress-title.ts';

const RETRY_MS = 3000;

const main = document.querySelector('main');
const heading = document.querySelector('h1');
const terms = document.querySelector<HTMLElement>('.promise');
document.querySelector('form')?.remove();
// The user pasted another link into the address bar.
addEventListener('hashchange', () => location.reload());
void show(location.hash.slice(1));

async function show(token: string): Promise<void> {
  const config = token === '' ? new UploadError('ERR_UNAUTHORIZED') : await loadConfig(token);
  // Uploads that this browser started with this link may be finished after the link has expired. Each link has records of its own.
  const store = storeWithPrefix(`landfall:${token.slice(0, 16)}:`);
  const hasUnfinished = (await store.list().catch(() => [])).length > 0;
  if (config instanceof UploadError) {
    const canResume = config.code === 'ERR_ACCESS_EXPIRED' && hasUnfinished;
    showMessage(messageOf(config.code));
    if (canResume) showUploader(token, store);
    return;
  }
  const { grant = {} } = config;
  const { title = 'Send files' } = grant;
  write(title, termsOf(grant));
  document.title = title;
  const message = usedUp(grant);
  if (message) showMessage(message);
  if (message === undefined || hasUnfinished) showUploader(token, store);
}

/** Shows a heading and the text below it. */
function write(title: string, text: string): void {
  if (heading) heading.textContent = title;
  if (terms) terms.textContent = text;
}

function showMessage({ title, text }: LinkMessage): void {
  write(title, text);
  document.title = title;
  main?.classList.add('ended');
}

/** Retries until the server answers. */
async function loadConfig(token: string): Promise<ServerConfig | UploadError> {
  for (;;) {
    const config = await requestConfig(token);
    if (config !== undefined) return config;
    write('Send files', 'The server cannot be reached. Retrying…');
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

function requestConfig(token: string): Promise<ServerConfig | UploadError | undefined> {
  const address = new URL('config', document.baseURI).href;
  return fetchConfig(address, bearer(token), AbortSignal.timeout(30_000)).catch((error: UploadError) => error);
}

function showUploader(token: string, store: ResumeStore): void {
  const element = document.createElement('landfall-upload');
  for (const [name, value] of Object.entries({ endpoint: 'files', 'no-history': '', 'drop-anywhere': '' }))
    element.setAttribute(name, value);
  element.token = token;
  const name = h('input', { attributes: { id: 'name', type: 'text', maxlength: 100, autocomplete: 'name' } });
  const message = h('textarea', { attributes: { id: 'message', maxlength: 400, rows: 1 } });
  const updateOptions = () => {
    const metadata = { [SENDER_METADATA.name]: name.value, [SENDER_METADATA.message]: message.value };
    // Metadata must not contain line breaks.
    const pairs = Object.entries(metadata).map(([key, value]) => [key, value.replace(/\s+/g, ' ').trim()] as const);
    element.options = { store, metadata: Object.fromEntries(pairs.filter(([, value]) => value !== '')) };
  };
  updateOptions();
  for (const field of [name, message]) field.addEventListener('input', updateOptions);
  const sender = h(
    'div',
    { class: 'sender' },
    h('div', {}, h('label', { attributes: { for: 'name' } }, 'Your name (optional)'), name),
    h('div', {}, h('label', { attributes: { for: 'message' } }, 'Message (optional)'), message),
    h('p', {}, 'Sent with the files that you add from now on.'),
  );
  main?.append(sender, element);
  showProgressInTitle(element);
  element.addEventListener('landfall-accepted', () => void refresh(token));
}

/** Updates the remaining limits after an upload. */
async function refresh(token: string): Promise<void> {
  const config = await requestConfig(token);
  if (config === undefined || config instanceof UploadError || terms === null) return;
  const { grant = {} } = config;
  terms.textContent = usedUp(grant)?.text ?? termsOf(grant);
}
