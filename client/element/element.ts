// `<landfall-upload endpoint="/files">`: a complete upload interface for a page. `define.ts` registers it.
import { UploadError } from '../../shared/errors.ts';
import type { QueueSnapshot } from '../handle/queue-snapshot.ts';
import type { UploadResult } from '../handle/snapshot.ts';
import { createQueue } from '../index.ts';
import type { QueueOptions } from '../options.ts';
import { pause } from '../transfer/pause.ts';
import { Announcer } from './announcements.ts';
import { CompletedUploads } from './completed/completed-uploads.ts';
import { h } from './dom.ts';
import type { PickedFile } from './drop.ts';
import { Language } from './language.ts';
import { visibleName } from './name.ts';
import { fetchConfig, pickerAccept, type ServerConfig } from './policy.ts';
import { ENGLISH, type SomeUploadStrings, type UploadStrings, wordsWith } from './strings.ts';
import { styleSheet } from './styles/styles.ts';
import { bearer, type GetToken, headersOf, TokenSource } from './token.ts';
import { Transfers } from './transfers.ts';
import { UnfinishedUploads } from './unfinished/unfinished-uploads.ts';
import { Zone } from './zone.ts';

/** Longest time that added files wait for the server's policy. Without it they are sent, and the server checks them. */
const CONFIG_WITHIN_MS = 2000;
/** Limit for `getToken`, in case it returns one refused token after another. */
const MAX_TOKENS = 20;
/** During server-side rendering the module is imported, but there is no `HTMLElement`. */
const ServerSafeElement: typeof HTMLElement = globalThis.HTMLElement ?? (class {} as typeof HTMLElement);

/**
 * Attributes: `endpoint` (address at which uploads are created, relative to the page), `config` (address of the server's policy;
 * default: `config` next to the endpoint; empty: no request), `concurrency`, `drop-anywhere` (files may be dropped anywhere in the
 * window), `no-history` (later visits do not list completed uploads), `token` (sent with every request, `Authorization: Bearer`),
 * `theme` (`light`, `dark` or `auto`; default: the page's `color-scheme`).
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
  /** Used by the browser. */
  static readonly observedAttributes: readonly string[] = ['endpoint', 'config', 'drop-anywhere', 'token'];

  readonly #announcer = new Announcer();
  readonly #zone = new Zone((files) => this.add(files));
  readonly #transfers: Transfers;
  readonly #unfinished: UnfinishedUploads;
  readonly #completed: CompletedUploads;
  readonly #shell = h('div', { class: 'shell' });
  #strings: UploadStrings = ENGLISH;
  #options: Partial<QueueOptions> = {};
  #language: Language | undefined;
  readonly #token = new TokenSource();
  #config: ServerConfig | undefined;
  /** Settles when the policy is known, cannot be read, or takes too long. */
  #configured: Promise<unknown> | undefined;
  #connected: AbortController | undefined;
  #loading: AbortController | undefined;

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
      get keepsHistory() {
        return !self.hasAttribute('no-history');
      },
      announce: (message) => this.#announcer.announce(message),
      onProgress: (queue) => this.#onProgress(queue),
      onAccepted: (result) => this.#emit('landfall-accepted', result),
      onAcceptedUnlisted: (result, endpoint) => this.#listCompleted(result, endpoint),
      onRefused: (refused) => this.#emit('landfall-refused', refused),
      onEmptied: () => this.#zone.focus(),
    });
    this.#unfinished = new UnfinishedUploads({
      get options() {
        return self.#queueOptions();
      },
      get language() {
        return self.#currentLanguage();
      },
      announce: (message) => this.#announcer.announce(message),
      onAccepted: (result, endpoint) => {
        this.#listCompleted(result, endpoint);
        this.#emit('landfall-accepted', result);
      },
      onRejected: (record, error) => this.#transfers.intake.refuse(record, error),
      send: (files) => void this.#transfers.intake.add(files, this.#configNow()),
      onChange: () => this.#layOut(),
      onEmptied: () => this.#zone.focus(),
    });
    this.#completed = new CompletedUploads({
      get language() {
        return self.#currentLanguage();
      },
      announce: (message) => this.#announcer.announce(message),
      onChange: () => this.#layOut(),
      onEmptied: () => this.#zone.focus(),
    });
    this.#shell.append(
      h('div', { class: 'side' }, this.#zone.element, this.#transfers.overview.element),
      h('div', { class: 'main' }, this.#unfinished.element, this.#transfers.list.element, this.#completed.element),
    );
    const root = this.attachShadow({ mode: 'open' });
    root.adoptedStyleSheets = [styleSheet()];
    root.append(this.#shell, this.#announcer.element);
  }

  /** Texts that replace the English ones. Texts that are left out stay English. */
  get strings(): UploadStrings {
    return this.#strings;
  }

  set strings(strings: SomeUploadStrings) {
    this.#strings = wordsWith(strings);
    this.#language = undefined;
    if (this.#connected) this.#showAll();
  }

  /** Options for all uploads, in addition to the attributes: `headers`, `store`, `metadata`, `keepAwake` … Apply to files added later. @throws TypeError when set to an invalid number */
  get options(): Partial<QueueOptions> {
    return this.#options;
  }

  set options(options: Partial<QueueOptions>) {
    // A queue checks its options. Files that are added later could only vanish.
    createQueue({ ...options, endpoint: this.#endpoint() });
    this.#options = { ...options };
  }

  /**
   * Sent with every request, as `Authorization: Bearer`. May also be set by the attribute. A new token applies from the next request on.
   * Every visitor can read a token in a page, so use one with a visitor's permissions.
   */
  get token(): string | undefined {
    return this.#token.token;
  }

  set token(token: string | null | undefined) {
    this.#token.token = token;
    if (this.#connected) this.#loadConfig(this.#connected.signal);
  }

  /**
   * Called when a token is needed, and with `reason: 'unauthorized'` when the server requires a token or refused the last one. It may
   * ask the user; uploads wait for it. Its result is used until the server refuses it.
   */
  get getToken(): GetToken | undefined {
    return this.#token.getToken;
  }

  set getToken(getToken: GetToken | undefined) {
    this.#token.getToken = getToken;
    if (this.#connected) this.#loadConfig(this.#connected.signal);
  }

  /** All uploads and their totals, now, as the user sees them: a cancelled upload that can be undone is `cancelled`. */
  get snapshot(): QueueSnapshot {
    return this.#transfers.snapshot;
  }

  /**
   * Adds files as if they had been dropped. Files that the server would refuse are listed with the reason.
   *
   * @throws TypeError when the endpoint is not an http address
   */
  add(files: Iterable<File | PickedFile>): void {
    const picked = [...files].map((file) => (file instanceof File ? { file } : file));
    if (picked.length === 0) return;
    createQueue(this.#queueOptions());
    this.#announcer.announce(this.#strings.announceAdded(picked.length));
    void this.#transfers.intake.add(this.#unfinished.claim(picked), this.#configNow());
  }

  /** Pauses every upload that has not ended. */
  pause(): void {
    this.#transfers.pause();
  }

  /** Resumes every paused upload. */
  resume(): void {
    this.#transfers.resume();
  }

  /**
   * Cancels every upload that has not ended, on the server too. Resolves when the server has deleted them. An upload whose every byte the
   * server has cannot be cancelled: its verdict is shown, and the promise waits for it.
   */
  cancel(): Promise<void> {
    return this.#transfers.cancel();
  }

  /** Called by the browser. */
  connectedCallback(): void {
    this.#connect();
  }

  /** Uploads continue, because a page may move the element or hide it for a while. */
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
    this.#loadConfig(connected.signal);
    void this.#unfinished.load(connected.signal);
    if (!this.hasAttribute('no-history')) this.#completed.load(this.#endpoint());
  }

  /** Loads the policy. Another token may have another policy, so it is loaded again after a change. */
  #loadConfig(connected: AbortSignal): void {
    this.#loading?.abort();
    const loading = new AbortController();
    this.#loading = loading;
    const signal = AbortSignal.any([connected, loading.signal]);
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

  /** Loads the policy for this sender. If the server requires a token, asks the page for one before anything is sent. */
  async #fetchConfig(url: string, signal: AbortSignal): Promise<ServerConfig | undefined> {
    let token = await this.#token.current().catch(() => undefined);
    for (let tries = 1; ; tries++) {
      const headers = {
        ...(await headersOf(this.#options.headers, { method: 'GET', url, reason: 'request' }).catch(() => ({}))),
        ...bearer(token),
      };
      const config = await fetchConfig(url, headers, signal).catch((error: UploadError) => error);
      const isRefused = config instanceof UploadError ? config.status === 401 : config?.signIn === true;
      if (signal.aborted || !isRefused || this.#token.getToken === undefined) return config instanceof UploadError ? undefined : config;
      const renewed = await this.#token.renewed(token).catch(() => undefined);
      if (renewed === undefined || renewed === token || tries === MAX_TOKENS) return config instanceof UploadError ? undefined : config;
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
    this.#unfinished.show();
    this.#completed.show();
    this.#layOut();
  }

  #onProgress(queue: QueueSnapshot): void {
    this.#layOut();
    this.#emit('landfall-progress', queue);
  }

  #layOut(): void {
    const isMore = !this.#transfers.isEmpty;
    const isBusy = isMore || !this.#unfinished.isEmpty || !this.#completed.isEmpty;
    this.#shell.classList.toggle('busy', isBusy);
    this.#zone.show({ strings: this.#strings, isBusy, isMore, rules: this.#rules(), accept: pickerAccept(this.#config) });
  }

  #rules(): string {
    const { strings, limit, allowed } = this.#currentLanguage();
    return [limit && strings.limit(limit), allowed && strings.allowed(allowed)].filter(Boolean).join(' ');
  }

  /** Lists a file that the server accepted although this page did not send its last bytes, or no longer lists it. */
  #listCompleted({ id, url, name, size }: UploadResult, endpoint: string): void {
    if (url !== null) this.#completed.add({ id, endpoint, url, name, size, at: Date.now() }, !this.hasAttribute('no-history'));
    this.#announcer.announce(this.#strings.announceAccepted(visibleName(name)));
  }

  #emit(type: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }
}
