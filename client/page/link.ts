// The page of an upload link, `link#<token>`: what a guest may send, and nothing of others.
import '../element/define.ts';
import { UploadError } from '../../shared/errors.ts';
import { SENDER_METADATA } from '../../shared/protocol.ts';
import { storeUnder } from '../browser/store.ts';
import { h } from '../element/dom.ts';
import { fetchConfig, type ServerConfig } from '../element/policy.ts';
import { bearer } from '../element/token.ts';
import type { ResumeStore } from '../resume/store.ts';
import { type Ending, endingOf, termsOf, usedUp } from './link-terms.ts';
import { showProgressInTitle } from './progress-title.ts';

const ASK_AGAIN_MS = 3000;

const main = document.querySelector('main');
const heading = document.querySelector('h1');
const terms = document.querySelector<HTMLElement>('.promise');
document.querySelector('form')?.remove();
// Another link, pasted over this one.
addEventListener('hashchange', () => location.reload());
void show(location.hash.slice(1));

async function show(token: string): Promise<void> {
  const told = token === '' ? new UploadError('ERR_UNAUTHORIZED') : await untilTold(token);
  // What this browser began by this link may be sent to its end, whatever became of the link. Of other links there is nothing here.
  const store = storeUnder(`landfall:${token.slice(0, 16)}:`);
  const hasBegun = (await store.list().catch(() => [])).length > 0;
  if (told instanceof UploadError) {
    const canGoOn = told.code === 'ERR_ACCESS_EXPIRED' && hasBegun;
    end(endingOf(told.code));
    if (canGoOn) send(token, store);
    return;
  }
  const { grant = {} } = told;
  const { title = 'Send files' } = grant;
  write(title, termsOf(grant));
  document.title = title;
  const ending = usedUp(grant);
  if (ending) end(ending);
  if (ending === undefined || hasBegun) send(token, store);
}

/** The heading, and what stands below it. */
function write(title: string, text: string): void {
  if (heading) heading.textContent = title;
  if (terms) terms.textContent = text;
}

function end({ title, text }: Ending): void {
  write(title, text);
  document.title = title;
  main?.classList.add('ended');
}

/** Also of a server that is away for a while. */
async function untilTold(token: string): Promise<ServerConfig | UploadError> {
  for (;;) {
    const told = await ask(token);
    if (told !== undefined) return told;
    write('Send files', 'The server cannot be reached. Trying again.');
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
}

function ask(token: string): Promise<ServerConfig | UploadError | undefined> {
  const address = new URL('config', document.baseURI).href;
  return fetchConfig(address, bearer(token), AbortSignal.timeout(30_000)).catch((error: UploadError) => error);
}

function send(token: string, store: ResumeStore): void {
  const element = document.createElement('landfall-upload');
  for (const [name, value] of Object.entries({ endpoint: 'files', 'no-history': '', 'drop-anywhere': '' }))
    element.setAttribute(name, value);
  element.token = token;
  const name = h('input', { attributes: { id: 'name', type: 'text', maxlength: 100, autocomplete: 'name' } });
  const message = h('textarea', { attributes: { id: 'message', maxlength: 400, rows: 1 } });
  const tell = () => {
    const said = { [SENDER_METADATA.name]: name.value, [SENDER_METADATA.message]: message.value };
    // Metadata has no line breaks.
    const pairs = Object.entries(said).map(([key, value]) => [key, value.replace(/\s+/g, ' ').trim()] as const);
    element.options = { store, metadata: Object.fromEntries(pairs.filter(([, value]) => value !== '')) };
  };
  tell();
  for (const field of [name, message]) field.addEventListener('input', tell);
  const sender = h(
    'div',
    { class: 'sender' },
    h('div', {}, h('label', { attributes: { for: 'name' } }, 'Your name (optional)'), name),
    h('div', {}, h('label', { attributes: { for: 'message' } }, 'Message (optional)'), message),
    h('p', {}, 'Goes along with the files that you add from now on.'),
  );
  main?.append(sender, element);
  showProgressInTitle(element);
  element.addEventListener('landfall-accepted', () => void refresh(token));
}

/** What is left is less now. */
async function refresh(token: string): Promise<void> {
  const told = await ask(token);
  if (told === undefined || told instanceof UploadError || terms === null) return;
  const { grant = {} } = told;
  terms.textContent = usedUp(grant)?.text ?? termsOf(grant);
}
