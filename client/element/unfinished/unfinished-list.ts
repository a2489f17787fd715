import type { ResumeRecord } from '../../resume/store.ts';
import { h, isFocused, setAttribute, setText } from '../dom.ts';
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
  /** The server has every byte and no verdict yet. */
  isInspecting?: boolean;
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
  /** The rows that are shown, which keep their notices while their uploads do not change. */
  #shown = new Map<UnfinishedUpload, HTMLElement>();
  #shownIn: Language | undefined;

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

  /** The focus stays in its row, or moves to a neighbour. Returns true when the list lost it, because no row is left. */
  show(uploads: readonly UnfinishedUpload[], language: Language): boolean {
    const { strings } = language;
    this.#language = language;
    this.element.hidden = uploads.length === 0;
    setText(this.#title, strings.unfinishedTitle);
    setText(this.#hint, strings.unfinishedHint);
    setAttribute(this.element, 'aria-label', strings.unfinishedTitle);
    setAttribute(this.#input, 'aria-label', strings.chooseAgain);
    const focused = this.#focused();
    if (this.#shownIn !== language) this.#shown.clear();
    this.#shownIn = language;
    const rows = uploads.map((upload) => this.#shown.get(upload) ?? this.#row(upload, language));
    this.#shown = new Map(uploads.map((upload, index) => [upload, rows[index] as HTMLElement]));
    // Moving a focused button would make screen readers read it again.
    if (rows.length === this.#rows.children.length && rows.every((row, index) => row === this.#rows.children[index])) return false;
    this.#rows.replaceChildren(...rows);
    return focused !== undefined && !this.#focusAt(focused);
  }

  /** Focuses the first button of the list. Returns false when the list is empty. */
  focus(): boolean {
    return this.#focusAt({ row: 0, button: 0 });
  }

  /** Places of the row and of the button in it that have the focus. */
  #focused(): { row: number; button: number } | undefined {
    const row = [...this.#rows.children].findIndex((candidate) => candidate.matches(':focus-within'));
    if (row < 0) return undefined;
    const buttons = [...(this.#rows.children[row]?.querySelectorAll('button') ?? [])];
    return { row, button: Math.max(buttons.findIndex(isFocused), 0) };
  }

  /** Focuses the button at this place, or the closest one; the row itself when it has none. Returns false when the list is empty. */
  #focusAt({ row, button }: { row: number; button: number }): boolean {
    const element = this.#rows.children[Math.min(row, this.#rows.children.length - 1)];
    if (!(element instanceof HTMLElement)) return false;
    const buttons = element.querySelectorAll('button');
    (buttons[Math.min(button, buttons.length - 1)] ?? element).focus();
    return true;
  }

  #row(upload: UnfinishedUpload, language: Language): HTMLElement {
    const { record, handle, discarding, isInspecting = false } = upload;
    const { strings, formats } = language;
    const name = visibleName(record.name);
    const { part, whole } = formats.bytesOf(record.confirmed, record.size);
    const fraction = isInspecting ? 0.99 : record.size > 0 ? Math.min(record.confirmed / record.size, 0.99) : 0;
    const percent = formats.percent(fraction);
    const progress =
      record.confirmed > 0 ? strings.unfinishedState(percent, part, whole) : strings.unfinishedStarted(formats.bytes(record.size));
    const state = discarding !== undefined ? strings.discarded : isInspecting ? strings.inspecting : progress;
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
      h('div', { class: 'status' }, h('bdi', {}, state)),
      notice,
    );
    const discard = button(strings.discard, 'quiet', () => this.#actions.onDiscard(upload));
    const undo = button(strings.undo, 'outlined', () => this.#actions.onUndo(upload));
    const controls = discarding !== undefined ? [undo] : isInspecting ? [] : [main, discard];
    return h(
      'li',
      {
        class: 'row',
        part: 'row',
        attributes: { 'data-tone': 'still', tabindex: -1 },
      },
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
