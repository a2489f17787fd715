import type { ResumeRecord } from '../../resume/store.ts';
import { h, setAttribute, setText } from '../dom.ts';
import { icon } from '../icons.ts';
import type { Language } from '../language.ts';
import { folderOf, isolated, nameParts, tileFor, visibleName } from '../name.ts';
import { isSameFile } from './file-handles.ts';

export interface UnfinishedUpload {
  record: ResumeRecord;
  /** The browser can open the file again, after asking the user. */
  handle?: FileSystemFileHandle | undefined;
  /** Set when the upload was discarded. The discard can be undone until the timer fires. */
  discarding?: ReturnType<typeof setTimeout>;
}

export interface UnfinishedActions {
  /** The user chose the right file. */
  onFile(upload: UnfinishedUpload, file: File): void;
  /** The user clicked Resume, so the browser may ask for access to the file. */
  onResume(upload: UnfinishedUpload): void;
  onDiscard(upload: UnfinishedUpload): void;
  onUndo(upload: UnfinishedUpload): void;
}

/** Shows the unfinished uploads of earlier visits, with buttons to resume or discard them. */
export class UnfinishedList {
  readonly element: HTMLElement;
  readonly #actions: UnfinishedActions;
  readonly #title = h('span', {});
  readonly #hint = h('p', { attributes: { dir: 'auto' } });
  readonly #rows = h('ul', { class: 'rows', attributes: { role: 'list' } });
  readonly #input: HTMLInputElement;
  #choosing: { upload: UnfinishedUpload; showNotice: (text: string) => void } | undefined;
  #language: Language | undefined;

  constructor(actions: UnfinishedActions) {
    this.#actions = actions;
    this.#input = h('input', { attributes: { type: 'file', hidden: true, tabindex: -1 }, on: { change: () => this.#fileChosen() } });
    this.element = h(
      'section',
      { class: 'unfinished panel', part: 'unfinished', attributes: { hidden: true } },
      h('header', {}, h('h2', {}, icon('history'), this.#title), this.#hint),
      this.#rows,
      this.#input,
    );
  }

  show(uploads: readonly UnfinishedUpload[], language: Language): void {
    const { strings } = language;
    this.#language = language;
    this.element.hidden = uploads.length === 0;
    setText(this.#title, strings.unfinishedTitle);
    setText(this.#hint, strings.unfinishedHint);
    setAttribute(this.element, 'aria-label', strings.unfinishedTitle);
    setAttribute(this.#input, 'aria-label', strings.chooseAgain);
    this.#rows.replaceChildren(...uploads.map((upload) => this.#row(upload, language)));
  }

  /** Focuses the first button of a row. Returns false when there is none. */
  focus(index = 0): boolean {
    const button = this.#rows.children[index]?.querySelector('button');
    button?.focus();
    return button instanceof HTMLElement;
  }

  #row(upload: UnfinishedUpload, language: Language): HTMLElement {
    const { record, handle, discarding } = upload;
    const { strings, formats } = language;
    const name = visibleName(record.name);
    const { part, whole } = formats.bytesOf(record.confirmed, record.size);
    const fraction = record.size > 0 ? record.confirmed / record.size : 0;
    const percent = formats.percent(fraction);
    const state =
      record.confirmed > 0 ? strings.unfinishedState(percent, part, whole) : strings.unfinishedStarted(formats.bytes(record.size));
    const confirmed = h('span', { class: 'confirmed' });
    confirmed.style.setProperty('--_at', fraction.toFixed(4));
    const notice = h('p', { class: 'notice', attributes: { role: 'alert', dir: 'auto', hidden: true } });
    const showNotice = (text: string) => {
      notice.hidden = false;
      setText(notice, text);
    };
    const button = (label: string, className: string, onClick: () => void) =>
      h(
        'button',
        { class: className, attributes: { type: 'button', 'aria-label': strings.buttonFor(label, name) }, on: { click: onClick } },
        label,
      );
    const main = handle
      ? button(strings.resume, 'outlined', () => this.#actions.onResume(upload))
      : button(strings.chooseAgain, 'outlined', () => this.#choose(upload, showNotice));
    const body = h(
      'div',
      { class: 'body' },
      folderOf(record.relativePath),
      h('div', { class: 'title' }, nameParts(name), h('span', { class: 'percent', attributes: { 'aria-hidden': 'true' } }, percent)),
      h('div', { class: 'bar', attributes: { 'aria-hidden': 'true' } }, confirmed),
      h('div', { class: 'status' }, h('bdi', {}, discarding === undefined ? state : strings.discarded)),
      notice,
    );
    const discard = button(strings.discard, 'quiet', () => this.#actions.onDiscard(upload));
    const undo = button(strings.undo, 'outlined', () => this.#actions.onUndo(upload));
    const controls = discarding === undefined ? [main, discard] : [undo];
    return h(
      'li',
      { class: 'row', part: 'row', attributes: { 'data-tone': 'still' } },
      tileFor(name),
      body,
      h('div', { class: 'actions' }, ...controls),
    );
  }

  #choose(upload: UnfinishedUpload, showNotice: (text: string) => void): void {
    this.#choosing = { upload, showNotice };
    this.#input.click();
  }

  #fileChosen(): void {
    const file = this.#input.files?.[0];
    this.#input.value = '';
    if (file === undefined || this.#choosing === undefined) return;
    const { upload, showNotice } = this.#choosing;
    if (isSameFile(upload.record, file)) this.#actions.onFile(upload, file);
    else if (this.#language)
      showNotice(this.#language.strings.wrongFile(isolated(visibleName(file.name)), isolated(visibleName(upload.record.name))));
  }
}
