import { h, isFocused, setAttribute, setFacts, setText } from '../dom.ts';
import { COPY_RESULT_MS } from '../download-links.ts';
import { type IconName, icon } from '../icons.ts';
import type { Language } from '../language.ts';
import { folderOf, nameParts, tileFor, visibleName } from '../name.ts';
import type { UploadStrings } from '../strings.ts';
import type { Action, RowView } from './view.ts';

/** Time for which a note is shown. */
const NOTE_MS = 8000;

const ICONS: Readonly<Record<Action, IconName>> = {
  pause: 'pause',
  resume: 'resume',
  retry: 'retry',
  sendAgain: 'retry',
  download: 'download',
  copyLink: 'link',
  undo: 'undo',
  cancel: 'cancel',
  remove: 'cancel',
};

/** Each slot shows one of its actions. The focus stays in the slot when Pause becomes Resume, or Cancel becomes Undo. */
const SLOTS: readonly (readonly Action[])[] = [
  ['download', 'retry', 'sendAgain'],
  ['pause', 'resume', 'copyLink'],
  ['cancel', 'undo', 'remove'],
];

export interface RowOptions {
  name: string;
  relativePath?: string | undefined;
  onAction(action: Action): void;
}

/** The row of one upload. It is built once; `show` updates only what differs. */
export class Row {
  readonly element: HTMLLIElement;
  readonly #name: string;
  readonly #onAction: (action: Action) => void;
  readonly #bar: HTMLElement;
  readonly #sent = h('span', { class: 'sent' });
  readonly #confirmed = h('span', { class: 'confirmed' });
  readonly #percent = h('span', { class: 'percent', part: 'percent', attributes: { 'aria-hidden': 'true' } });
  readonly #state = h('bdi', {});
  readonly #facts = h('div', { class: 'facts' }, h('span', { class: 'state' }, this.#state));
  readonly #reasonText = h('span', {});
  readonly #retryNow: HTMLButtonElement;
  readonly #reason = h('p', { class: 'reason', attributes: { dir: 'auto', hidden: true } }, this.#reasonText);
  readonly #check = icon('accepted');
  readonly #actions = h('div', { class: 'actions' });
  readonly #slots: (HTMLElement | undefined)[] = [];
  #note = '';

  constructor({ name, relativePath, onAction }: RowOptions) {
    this.#name = visibleName(name);
    this.#onAction = onAction;
    this.#retryNow = h('button', {
      class: 'inline',
      attributes: { type: 'button', hidden: true },
      on: { click: () => onAction('resume') },
    });
    this.#reason.append(this.#retryNow);
    this.#bar = h(
      'div',
      {
        class: 'bar',
        part: 'bar',
        attributes: { role: 'progressbar', 'aria-label': this.#name, 'aria-valuemin': 0, 'aria-valuemax': 100 },
      },
      this.#sent,
      this.#confirmed,
    );
    const body = h(
      'div',
      { class: 'body' },
      folderOf(relativePath),
      h('div', { class: 'title' }, nameParts(this.#name), this.#percent),
      this.#bar,
      h('div', { class: 'status' }, this.#check, this.#facts),
      this.#reason,
    );
    // The row itself gets the focus when a state without buttons follows.
    this.element = h('li', { class: 'row', part: 'row', attributes: { tabindex: -1 } }, tileFor(this.#name), body, this.#actions);
  }

  get name(): string {
    return this.#name;
  }

  show(view: RowView, { strings }: Language): void {
    setAttribute(this.element, 'data-tone', view.tone);
    setAttribute(this.element, 'data-bar', view.bar);
    this.#sent.style.setProperty('--_at', view.sent.toFixed(4));
    this.#confirmed.style.setProperty('--_at', view.confirmed.toFixed(4));
    setText(this.#percent, view.percent);
    setAttribute(this.#bar, 'aria-valuenow', String(Math.floor(view.confirmed * 100)));
    setAttribute(this.#bar, 'aria-valuetext', [view.percent, view.state, ...view.facts].filter(Boolean).join(', '));
    setText(this.#state, view.state);
    setFacts(this.#facts, view.facts, 1);
    this.#check.classList.toggle('shown', view.tone === 'good');
    this.#showReason(view.reason || this.#note);
    const focused = this.#focusedSlot();
    this.#showRetryNow(view.canRetryNow === true, strings);
    this.#showActions(view, strings);
    if (focused !== undefined && this.#focusedSlot() === undefined) (this.#slots[focused] ?? this).focus();
  }

  /** Shows a sentence for some seconds. A reason takes its place. */
  showNote(note: string): void {
    this.#note = note;
    this.#showReason(note);
    setTimeout(() => {
      this.#note = '';
      if (this.#reasonText.textContent === note) this.#showReason('');
    }, NOTE_MS);
    this.element.scrollIntoView({ block: 'nearest' });
  }

  /** @param result text that says whether the link was copied */
  showCopied(result: string, { strings }: Language): void {
    const button = this.#slots.find((slot) => slot?.dataset.action === 'copyLink');
    if (button === undefined) return;
    button.classList.add('wide');
    button.replaceChildren(h('span', { class: 'copy-result' }, result));
    button.setAttribute('aria-label', strings.buttonFor(result, this.#name));
    setTimeout(() => {
      button.classList.remove('wide');
      button.replaceChildren(icon('link'));
      button.setAttribute('aria-label', strings.buttonFor(strings.copyLink, this.#name));
    }, COPY_RESULT_MS);
  }

  /** Focuses the last control of the row, which is always close to the removed one. Without controls, focuses the row. */
  focus(): void {
    (this.#slots.findLast((slot) => slot !== undefined) ?? this.element).focus();
  }

  #showReason(text: string): void {
    setText(this.#reasonText, text);
    this.#reason.hidden = text === '';
  }

  /** Index of the slot whose control has the focus; -1 for another control of the row. */
  #focusedSlot(): number | undefined {
    const focused = this.#slots.findIndex((slot) => slot !== undefined && isFocused(slot));
    return focused >= 0 ? focused : isFocused(this.#retryNow) && !this.#retryNow.hidden ? -1 : undefined;
  }

  #showRetryNow(isShown: boolean, strings: UploadStrings): void {
    setText(this.#retryNow, strings.retryNow);
    setAttribute(this.#retryNow, 'aria-label', strings.buttonFor(strings.retryNow, this.#name));
    this.#retryNow.hidden = !isShown;
  }

  #showActions(view: RowView, strings: UploadStrings): void {
    for (const [index, choices] of SLOTS.entries()) {
      const action = view.actions.find((candidate) => choices.includes(candidate));
      const shown = this.#slots[index];
      if (shown?.dataset.action === action && shown?.getAttribute('href') === (action === 'download' ? (view.url ?? null) : null)) continue;
      const control = action && this.#control(action, view.url, strings);
      this.#slots[index] = control;
      if (shown && control) shown.replaceWith(control);
      else if (shown) shown.remove();
      else if (control) this.#actions.insertBefore(control, this.#slots.slice(index + 1).find(Boolean) ?? null);
    }
  }

  #control(action: Action, url: string | undefined, strings: UploadStrings): HTMLElement {
    const label = strings.buttonFor(strings[action], this.#name);
    const common = { 'aria-label': label, title: strings[action], 'data-action': action };
    if (action === 'download') {
      return h('a', { class: 'button quiet square', attributes: { ...common, href: url ?? '', download: true } }, icon('download'));
    }
    const isText = action === 'undo';
    return h(
      'button',
      {
        class: isText ? 'outlined' : 'quiet square',
        attributes: { ...common, type: 'button' },
        on: { click: () => this.#onAction(action) },
      },
      icon(ICONS[action]),
      isText && strings[action],
    );
  }
}
