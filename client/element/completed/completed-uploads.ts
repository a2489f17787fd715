import { h, setAttribute, setText } from '../dom.ts';
import { COPY_RESULT_MS, copyLinks } from '../download-links.ts';
import { icon } from '../icons.ts';
import type { Language } from '../language.ts';
import { Row } from '../list/row.ts';
import { type Action, completedView } from '../list/view.ts';
import { type CompletedUpload, completedUploadsAt, removeCompleted, saveCompleted } from './completed-store.ts';

export interface CompletedUploadsHost {
  readonly language: Language;
  announce(message: string): void;
  onChange(): void;
  /** The last upload was removed while it had the focus. */
  onEmptied(): void;
}

interface Entry {
  upload: CompletedUpload;
  row: Row;
}

/** Lists the files that earlier visits uploaded, with links to copy and to download. */
export class CompletedUploads {
  readonly element: HTMLElement;
  readonly #host: CompletedUploadsHost;
  readonly #title = h('span', {});
  readonly #rows = h('ul', { class: 'rows', attributes: { role: 'list' } });
  readonly #copyAll: HTMLButtonElement;
  readonly #clear: HTMLButtonElement;
  #entries: Entry[] = [];
  #loadedFor = '';

  constructor(host: CompletedUploadsHost) {
    this.#host = host;
    const button = (className: string, onClick: () => void) =>
      h('button', { class: className, attributes: { type: 'button' }, on: { click: onClick } });
    this.#copyAll = button('outlined', () => void this.#copy(this.#entries.map(({ upload }) => upload.url)));
    this.#clear = button('quiet', () => this.#remove(this.#entries.map(({ upload }) => upload)));
    this.element = h(
      'section',
      { class: 'completed panel', part: 'completed', attributes: { hidden: true } },
      h('header', {}, h('h2', {}, icon('history'), this.#title), h('div', { class: 'choices' }, this.#copyAll, this.#clear)),
      this.#rows,
    );
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** Loads once for each endpoint, because uploads that complete later in this visit are listed elsewhere. */
  load(endpoint: string): void {
    if (this.#loadedFor === endpoint) return;
    this.#loadedFor = endpoint;
    this.#entries = completedUploadsAt(endpoint).map((upload) => this.#entryOf(upload));
    this.#rows.replaceChildren(...this.#entries.map(({ row }) => row.element));
    this.show();
    this.#host.onChange();
  }

  /** Lists an upload first. @param isSaved later visits list it too */
  add(upload: CompletedUpload, isSaved: boolean): void {
    if (isSaved) saveCompleted(upload);
    const entry = this.#entryOf(upload);
    this.#entries.unshift(entry);
    this.#rows.prepend(entry.row.element);
    this.show();
    this.#host.onChange();
  }

  #entryOf(upload: CompletedUpload): Entry {
    return { upload, row: new Row({ name: upload.name, onAction: (action) => this.#perform(upload, action) }) };
  }

  show(): void {
    const { language } = this.#host;
    const { strings } = language;
    this.element.hidden = this.isEmpty;
    setText(this.#title, strings.completedTitle);
    setAttribute(this.element, 'aria-label', strings.completedTitle);
    setText(this.#copyAll, strings.copyAll);
    this.#copyAll.hidden = this.#entries.length < 2;
    setText(this.#clear, strings.clearCompleted);
    for (const { upload, row } of this.#entries) row.show(completedView(upload, language), language);
  }

  #perform(upload: CompletedUpload, action: Action): void {
    if (action === 'remove') this.#remove([upload]);
    else if (action === 'copyLink') void this.#copy([upload.url], upload);
  }

  async #copy(urls: readonly string[], upload?: CompletedUpload): Promise<void> {
    const result = await copyLinks(urls, this.#host.language, this.#host.announce);
    if (upload !== undefined) this.#entries.find((entry) => entry.upload === upload)?.row.showCopied(result, this.#host.language);
    else {
      setText(this.#copyAll, result);
      setTimeout(() => this.show(), COPY_RESULT_MS);
    }
  }

  #remove(uploads: readonly CompletedUpload[]): void {
    for (const { id } of uploads) removeCompleted(id);
    const first = this.#entries.findIndex(({ upload }) => uploads.includes(upload));
    for (const { upload, row } of this.#entries) if (uploads.includes(upload)) row.element.remove();
    this.#entries = this.#entries.filter(({ upload }) => !uploads.includes(upload));
    this.show();
    this.#host.onChange();
    if (this.isEmpty) this.#host.onEmptied();
    else this.#entries[Math.min(first, this.#entries.length - 1)]?.row.focus();
  }
}
