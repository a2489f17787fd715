import type { ResumeRecord } from '../../resume/store.ts';
import { h, setAttribute, setText } from '../dom.ts';
import { icon } from '../icons.ts';
import type { Language } from '../language.ts';
import { folderOf, isolated, nameParts, tileFor, visibleName } from '../name.ts';
import { isSameFile } from './file-handles.ts';

export interface EarlierUpload {
  record: ResumeRecord;
  /** The browser can open the file again after asking. */
  handle?: FileSystemFileHandle | undefined;
  /** It was discarded a moment ago, and that can be undone until this runs out. */
  discarding?: ReturnType<typeof setTimeout>;
}

export interface EarlierActions {
  /** The file was chosen again and is the one that was meant. */
  onFile(upload: EarlierUpload, file: File): void;
  /** The browser may open the file after a click. */
  onGoOn(upload: EarlierUpload): void;
  onDiscard(upload: EarlierUpload): void;
  onUndo(upload: EarlierUpload): void;
}

/** What earlier visits left unfinished, and what to do to go on with it. */
export class Earlier {
  readonly element: HTMLElement;
  readonly #actions: EarlierActions;
  readonly #title = h('span', {});
  readonly #hint = h('p', { attributes: { dir: 'auto' } });
  readonly #rows = h('ul', { class: 'rows', attributes: { role: 'list' } });
  readonly #input: HTMLInputElement;
  #choosing: { upload: EarlierUpload; say: (text: string) => void } | undefined;
  #language: Language | undefined;

  constructor(actions: EarlierActions) {
    this.#actions = actions;
    this.#input = h('input', { attributes: { type: 'file', hidden: true, tabindex: -1 }, on: { change: () => this.#take() } });
    this.element = h(
      'section',
      { class: 'earlier panel', part: 'earlier', attributes: { hidden: true } },
      h('header', {}, h('h2', {}, icon('history'), this.#title), this.#hint),
      this.#rows,
      this.#input,
    );
  }

  show(uploads: readonly EarlierUpload[], language: Language): void {
    const { strings } = language;
    this.#language = language;
    this.element.hidden = uploads.length === 0;
    setText(this.#title, strings.interruptedTitle);
    setText(this.#hint, strings.interruptedHint);
    setAttribute(this.element, 'aria-label', strings.interruptedTitle);
    setAttribute(this.#input, 'aria-label', strings.chooseAgain);
    this.#rows.replaceChildren(...uploads.map((upload) => this.#row(upload, language)));
  }

  /** To the first control, or that of an upload. False where there is none. */
  focus(index = 0): boolean {
    const button = this.#rows.children[index]?.querySelector('button');
    button?.focus();
    return button instanceof HTMLElement;
  }

  #row(upload: EarlierUpload, language: Language): HTMLElement {
    const { record, handle, discarding } = upload;
    const { strings, formats } = language;
    const name = visibleName(record.name);
    const { part, whole } = formats.bytesOf(record.confirmed, record.size);
    const fraction = record.size > 0 ? record.confirmed / record.size : 0;
    const percent = formats.percent(fraction);
    const standing =
      record.confirmed > 0 ? strings.interruptedState(percent, part, whole) : strings.interruptedBegun(formats.bytes(record.size));
    const confirmed = h('span', { class: 'confirmed' });
    confirmed.style.setProperty('--_at', fraction.toFixed(4));
    const notice = h('p', { class: 'notice', attributes: { role: 'alert', dir: 'auto', hidden: true } });
    const say = (text: string) => {
      notice.hidden = false;
      setText(notice, text);
    };
    const button = (label: string, look: string, act: () => void) =>
      h('button', { class: look, attributes: { type: 'button', 'aria-label': strings.buttonFor(label, name) }, on: { click: act } }, label);
    const main = handle
      ? button(strings.resume, 'outlined', () => this.#actions.onGoOn(upload))
      : button(strings.chooseAgain, 'outlined', () => this.#choose(upload, say));
    const body = h(
      'div',
      { class: 'body' },
      folderOf(record.relativePath),
      h('div', { class: 'title' }, nameParts(name), h('span', { class: 'percent', attributes: { 'aria-hidden': 'true' } }, percent)),
      h('div', { class: 'bar', attributes: { 'aria-hidden': 'true' } }, confirmed),
      h('div', { class: 'status' }, h('bdi', {}, discarding === undefined ? standing : strings.discarded)),
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

  #choose(upload: EarlierUpload, say: (text: string) => void): void {
    this.#choosing = { upload, say };
    this.#input.click();
  }

  #take(): void {
    const file = this.#input.files?.[0];
    this.#input.value = '';
    if (file === undefined || this.#choosing === undefined) return;
    const { upload, say } = this.#choosing;
    if (isSameFile(upload.record, file)) this.#actions.onFile(upload, file);
    else if (this.#language)
      say(this.#language.strings.otherFile(isolated(visibleName(file.name)), isolated(visibleName(upload.record.name))));
  }
}
