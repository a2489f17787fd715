// Asks the person for a key, where the server wants one and nothing else says who it is. It is kept for this tab alone.
import { sessionStorageOrNone } from '../browser/optional-apis.ts';
import { h } from '../element/dom.ts';
import type { TokenRequest } from '../element/token.ts';

/** Other things may be served beside this page. */
const STORED = `landfall:key:${location.pathname}`;

export class KeyPrompt {
  readonly #form: HTMLFormElement;
  readonly #input = h('input', {
    attributes: { id: 'key', type: 'password', autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false', required: true },
  });
  readonly #notice = h('p', { class: 'notice', attributes: { role: 'alert', hidden: true } });
  readonly #onAsking: (isAsking: boolean) => void;
  /** Also where the browser denies storage. */
  #key: string | undefined;
  #entered: ((key: string) => void) | undefined;

  /** @param onAsking before the person is asked, and once he has answered */
  constructor(onAsking: (isAsking: boolean) => void) {
    this.#onAsking = onAsking;
    this.#key = read();
    this.#form = h(
      'form',
      { class: 'plain', on: { submit: (event) => this.#submit(event) } },
      h('label', { attributes: { for: 'key' } }, 'Your key'),
      this.#input,
      this.#notice,
      h('button', { attributes: { type: 'submit' } }, 'Continue'),
      h('p', {}, 'Whoever runs this server gives out keys. Yours is forgotten when you close this tab.'),
    );
  }

  get element(): HTMLElement {
    return this.#form;
  }

  /** As `LandfallUploadElement.getToken`. */
  async token({ reason }: TokenRequest): Promise<string | undefined> {
    if (reason === 'request') return this.#key;
    const isWrong = this.#key !== undefined;
    keep('');
    this.#key = undefined;
    this.#notice.hidden = !isWrong;
    this.#notice.textContent = isWrong ? 'The server does not take this key. Look whether all of it is there, or ask for another.' : '';
    this.#form.hidden = false;
    this.#onAsking(true);
    this.#input.focus();
    const key = await new Promise<string>((resolve) => {
      this.#entered = resolve;
    });
    this.#form.hidden = true;
    this.#onAsking(false);
    this.#key = key;
    keep(key);
    return key;
  }

  #submit(event: Event): void {
    event.preventDefault();
    const key = this.#input.value.trim();
    // What could never be a header's value is told at once.
    if (!/^[\w.~+/-]+=*$/.test(key)) {
      this.#notice.hidden = false;
      this.#notice.textContent = 'That is no key: it is one word of letters and digits.';
      return;
    }
    this.#input.value = '';
    this.#entered?.(key);
  }
}

function read(): string | undefined {
  try {
    return sessionStorageOrNone()?.getItem(STORED) || undefined;
  } catch {
    return undefined;
  }
}

function keep(key: string): void {
  try {
    if (key === '') sessionStorageOrNone()?.removeItem(STORED);
    else sessionStorageOrNone()?.setItem(STORED, key);
  } catch {}
}
