// `<landfall-upload endpoint="/files">`: everything a page needs to take large files. `define.ts` registers it.
import { UploadError } from '../../shared/errors.ts';
import type { QueueSnapshot } from '../handle/queue-snapshot.ts';
import type { QueueOptions } from '../options.ts';
import { pause } from '../transfer/pause.ts';
import { Arrived } from './arrived/arrived.ts';
import { h } from './dom.ts';
import type { PickedFile } from './drop.ts';
import { EarlierVisits } from './earlier/earlier-visits.ts';
import { Language } from './language.ts';
import { fetchConfig, pickerAccept, type ServerConfig } from './policy.ts';
import { Announcer } from './spoken.ts';
import { ENGLISH, type SomeUploadStrings, type UploadStrings, wordsWith } from './strings.ts';
import { styleSheet } from './styles/styles.ts';
import { bearer, type GetToken, headersOf, TokenSource } from './token.ts';
import { Transfers } from './transfers.ts';
import { Zone } from './zone.ts';

/** A file that was chosen waits no longer to be held against what the server takes; the server itself judges it, later. */
const CONFIG_WITHIN_MS = 2000;
/** A page whose function makes one token after another that the server does not take is not asked for ever. */
const MOST_TOKENS = 20;
/** Where a page is made on a server the module is only imported: there are no elements to be. */
const ServerSafeElement: typeof HTMLElement = globalThis.HTMLElement ?? (class {} as typeof HTMLElement);

/**
 * Attributes: `endpoint` (where uploads are created, relative to the page), `config` (where the server tells what it accepts;
 * default: `config` beside the endpoint; empty: do not ask), `concurrency`, `drop-anywhere` (the whole window takes drops),
 * `no-history` (what arrives is not listed in later visits), `token` (sent with every request, `Authorization: Bearer`), `theme` (`light`, `dark` or `auto`; default: the page's `color-scheme`).
 *
 * Events, all bubbling: `landfall-progress` (detail: QueueSnapshot), `landfall-accepted` (UploadResult),
 * `landfall-refused` ({name, code, reason}).
 *
 * @example
 * ```ts
 * import 'landfall/element';
 *
 * const element = document.createElement('landfall-upload');
 * element.setAttribute('endpoint', '/files');
 * element.addEventListener('landfall-accepted', (event) => console.log((event as CustomEvent).detail.url));
 * document.body.append(element);
 * ```
 */
export class LandfallUploadElement extends ServerSafeElement {
  /** Read by the browser. */
  static readonly observedAttributes: readonly string[] = ['endpoint', 'config', 'drop-anywhere', 'token'];

  readonly #announcer = new Announcer();
  readonly #zone = new Zone((files) => this.add(files));
  readonly #transfers: Transfers;
  readonly #earlier: EarlierVisits;
  readonly #arrived: Arrived;
  readonly #shell = h('div', { class: 'shell' });
  #strings: UploadStrings = ENGLISH;
  #options: Partial<QueueOptions> = {};
  #language: Language | undefined;
  readonly #token = new TokenSource();
  #config: ServerConfig | undefined;
  /** Resolves once the server has told what it accepts, has not, or takes too long. */
  #configured: Promise<unknown> | undefined;
  #connected: AbortController | undefined;
  #learning: AbortController | undefined;

  constructor() {
    super();
    const self = this;
    this.#transfers = new Transfers({
      get options() {
        return self.#queueOptions();
      },
      get language() {
        return self.#currentLanguage();
      },
      get keepsArrivals() {
        return !self.hasAttribute('no-history');
      },
      say: (message) => this.#announcer.say(message),
      onProgress: (queue) => this.#onProgress(queue),
      onAccepted: (result) => this.#emit('landfall-accepted', result),
      onRefused: (refused) => this.#emit('landfall-refused', refused),
      onEmptied: () => this.#zone.focus(),
    });
    this.#earlier = new EarlierVisits({
      get options() {
        return self.#queueOptions();
      },
      get language() {
        return self.#currentLanguage();
      },
      say: (message) => this.#announcer.say(message),
      send: (files) => void this.#transfers.additions.add(files, this.#configNow()),
      onChange: () => this.#layOut(),
      onEmptied: () => this.#zone.focus(),
    });
    this.#arrived = new Arrived({
      get language() {
        return self.#currentLanguage();
      },
      say: (message) => this.#announcer.say(message),
      onChange: () => this.#layOut(),
      onEmptied: () => this.#zone.focus(),
    });
    this.#shell.append(
      h('div', { class: 'side' }, this.#zone.element, this.#transfers.overview.element),
      h('div', { class: 'main' }, this.#earlier.element, this.#transfers.list.element, this.#arrived.element),
    );
    const root = this.attachShadow({ mode: 'open' });
    root.adoptedStyleSheets = [styleSheet()];
    root.append(this.#shell, this.#announcer.element);
  }

  /** Words to use instead of the English ones; those not given stay as they are. */
  get strings(): UploadStrings {
    return this.#strings;
  }

  set strings(strings: SomeUploadStrings) {
    this.#strings = wordsWith(strings);
    this.#language = undefined;
    if (this.#connected) this.#showAll();
  }

  /** What every upload is sent with besides the attributes: `headers`, `store`, `metadata`, `keepAwake` … Applies to files added later. */
  get options(): Partial<QueueOptions> {
    return this.#options;
  }

  set options(options: Partial<QueueOptions>) {
    this.#options = { ...options };
  }

  /**
   * Sent with every request, `Authorization: Bearer`; the attribute is another way to set it. A new one counts from the next request on.
   * A secret on a page is everyone's who sees the page: give it what a visitor may have.
   */
  get token(): string | undefined {
    return this.#token.given;
  }

  set token(token: string | null | undefined) {
    this.#token.given = token;
    if (this.#connected) this.#learnConfig(this.#connected.signal);
  }

  /**
   * Asked for a token when there is need of one, and again with `reason: 'unauthorized'` when the server takes the last one no more
   * (or wants one): it may ask the person, uploads wait for it. What it answers is kept until then.
   */
  get getToken(): GetToken | undefined {
    return this.#token.ask;
  }

  set getToken(ask: GetToken | undefined) {
    this.#token.ask = ask;
    if (this.#connected) this.#learnConfig(this.#connected.signal);
  }

  /** All of its uploads and their sums, now. */
  get snapshot(): QueueSnapshot {
    return this.#transfers.snapshot;
  }

  /** Adds files as if they had been dropped; those the server would refuse are listed with the reason. */
  add(files: Iterable<File | PickedFile>): void {
    const picked = [...files].map((file) => (file instanceof File ? { file } : file));
    if (picked.length === 0) return;
    this.#announcer.say(this.#strings.spokenAdded(picked.length));
    void this.#transfers.additions.add(this.#earlier.claim(picked), this.#configNow());
  }

  /** Pauses every upload that is not over, and those that are added later, until `resume()`. */
  pause(): void {
    this.#transfers.pause();
  }

  /** Goes on with every upload that is paused, and tries at once where one waits. */
  resume(): void {
    this.#transfers.resume();
  }

  /** Cancels every upload that is not over, on the server too. */
  cancel(): Promise<void> {
    return this.#transfers.cancel();
  }

  /** Called by the browser. */
  connectedCallback(): void {
    this.#connect();
  }

  /** Uploads go on: whoever moves the element, or shows another view for a while, does not mean to stop them. */
  disconnectedCallback(): void {
    this.#connected?.abort();
    this.#connected = undefined;
  }

  /** Called by the browser. */
  attributeChangedCallback(name: string, _before: string | null, value: string | null): void {
    if (name === 'token') this.token = value;
    else this.#reconnect();
  }

  #reconnect(): void {
    if (this.#connected === undefined) return;
    this.#connected.abort();
    this.#connect();
  }

  #connect(): void {
    const connected = new AbortController();
    this.#connected = connected;
    this.#language = undefined;
    this.#zone.acceptDrops(this.hasAttribute('drop-anywhere') ? window : this, connected.signal);
    this.#showAll();
    this.#learnConfig(connected.signal);
    void this.#earlier.load(connected.signal);
    if (!this.hasAttribute('no-history')) this.#arrived.load(this.#endpoint());
  }

  /** Again, and anew, with another token. */
  #learnConfig(connected: AbortSignal): void {
    this.#learning?.abort();
    const learning = new AbortController();
    this.#learning = learning;
    const signal = AbortSignal.any([connected, learning.signal]);
    const configured = Promise.race([this.#configure(signal), pause(CONFIG_WITHIN_MS, signal).catch(() => undefined)]);
    this.#configured = configured;
    void configured.then(() => {
      if (this.#configured === configured) this.#configured = undefined;
    });
  }

  async #configure(signal: AbortSignal): Promise<void> {
    const address = this.getAttribute('config') ?? new URL('config', this.#endpoint()).href;
    const config = address === '' ? undefined : await this.#fetchConfig(new URL(address, this.baseURI).href, signal);
    if (signal.aborted) return;
    this.#config = config;
    this.#language = undefined;
    this.#layOut();
  }

  /** What the server tells whom it knows; where it knows nobody, the page is asked for a token before anything is sent. */
  async #fetchConfig(url: string, signal: AbortSignal): Promise<ServerConfig | undefined> {
    let token = await this.#token.current().catch(() => undefined);
    for (let tries = 1; ; tries++) {
      const headers = {
        ...(await headersOf(this.#options.headers, { method: 'GET', url, reason: 'request' }).catch(() => ({}))),
        ...bearer(token),
      };
      const config = await fetchConfig(url, headers, signal).catch((error: UploadError) => error);
      const isRefused = config instanceof UploadError ? config.status === 401 : config?.signIn === true;
      if (signal.aborted || !isRefused || this.#token.ask === undefined) return config instanceof UploadError ? undefined : config;
      const renewed = await this.#token.renewed(token).catch(() => undefined);
      if (renewed === undefined || renewed === token || tries === MOST_TOKENS) return config instanceof UploadError ? undefined : config;
      token = renewed;
    }
  }

  #configNow(): ServerConfig | undefined | Promise<ServerConfig | undefined> {
    return this.#configured?.then(() => this.#config) ?? this.#config;
  }

  #endpoint(): string {
    return new URL(this.getAttribute('endpoint') ?? 'files', this.baseURI).href;
  }

  #queueOptions(): QueueOptions {
    const concurrency = Number(this.getAttribute('concurrency'));
    const headers = this.#token.headersFor(this.#options.headers);
    return { ...this.#options, ...(headers && { headers }), endpoint: this.#endpoint(), ...(concurrency >= 1 && { concurrency }) };
  }

  #currentLanguage(): Language {
    this.#language ??= new Language(this.#strings, this.closest('[lang]')?.getAttribute('lang') ?? undefined, this.#config);
    return this.#language;
  }

  #showAll(): void {
    this.#transfers.show(true);
    this.#earlier.show();
    this.#arrived.show();
    this.#layOut();
  }

  #onProgress(queue: QueueSnapshot): void {
    this.#layOut();
    this.#emit('landfall-progress', queue);
  }

  #layOut(): void {
    const isMore = !this.#transfers.isEmpty;
    const isBusy = isMore || !this.#earlier.isEmpty || !this.#arrived.isEmpty;
    this.#shell.classList.toggle('busy', isBusy);
    this.#zone.show({ strings: this.#strings, isBusy, isMore, rules: this.#rules(), accept: pickerAccept(this.#config) });
  }

  #rules(): string {
    const { strings, limit, allowed } = this.#currentLanguage();
    return [limit && strings.limit(limit), allowed && strings.allowed(allowed)].filter(Boolean).join(' ');
  }

  #emit(type: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }
}
