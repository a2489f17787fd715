import { h, setAttribute, setFacts, setText } from '../dom.ts';
import { COPY_RESULT_MS } from '../download-links.ts';
import { type IconName, icon } from '../icons.ts';
import type { Language } from '../language.ts';
import { folderOf, nameParts, tileFor, visibleName } from '../name.ts';
import type { UploadStrings } from '../strings.ts';
import type { Action, RowView } from './view.ts';

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
    this.element = h('li', { class: 'row', part: 'row' }, tileFor(this.#name), body, this.#actions);
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
    setText(this.#reasonText, view.reason);
    this.#reason.hidden = view.reason === '';
    this.#showRetryNow(view.canRetryNow === true, strings);
    this.#showActions(view, strings);
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

  /** Focuses the last control of the row, which is always close to the removed one. */
  focus(): void {
    this.#slots.findLast((slot) => slot !== undefined)?.focus();
  }

  #showRetryNow(isShown: boolean, strings: UploadStrings): void {
    setText(this.#retryNow, strings.retryNow);
    setAttribute(this.#retryNow, 'aria-label', strings.buttonFor(strings.retryNow, this.#name));
    if (!isShown && isFocused(this.#retryNow)) this.focus();
    this.#retryNow.hidden = !isShown;
  }

  #showActions(view: RowView, strings: UploadStrings): void {
    for (const [index, choices] of SLOTS.entries()) {
      const action = view.actions.find((candidate) => choices.includes(candidate));
      const shown = this.#slots[index];
      if (shown?.dataset.action === action && shown?.getAttribute('href') === (action === 'download' ? (view.url ?? null) : null)) continue;
      const hadFocus = shown !== undefined && isFocused(shown);
      const control = action && this.#control(action, view.url, strings);
      this.#slots[index] = control;
      if (shown && control) shown.replaceWith(control);
      else if (shown) shown.remove();
      else if (control) this.#actions.insertBefore(control, this.#slots.slice(index + 1).find(Boolean) ?? null);
      if (hadFocus) (control ?? this).focus();
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

function isFocused(element: HTMLElement): boolean {
  const root = element.getRootNode();
  return (root instanceof ShadowRoot || root instanceof Document) && root.activeElement === element;
}
