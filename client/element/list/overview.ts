import type { QueueSnapshot } from '../../handle/queue-snapshot.ts';
import { island } from '../contours.ts';
import { h, isFocused, setAttribute, setFacts, setText } from '../dom.ts';
import type { Language } from '../language.ts';
import { type OverviewAction, overviewOf } from './overview-view.ts';

export type OverviewActions = Readonly<Record<OverviewAction, () => void>>;

/** The panel for all uploads: total progress as a figure and as a ship's course, and buttons for all uploads. */
export class Overview {
  readonly element: HTMLElement;
  readonly #figure = h('bdi', { class: 'figure', part: 'figure' });
  readonly #files = h('bdi', { class: 'files' });
  readonly #facts = h('div', { class: 'facts' });
  readonly #course: HTMLElement;
  readonly #choices = h('div', { class: 'choices' });
  readonly #buttons: Record<OverviewAction, HTMLButtonElement>;

  constructor(actions: OverviewActions) {
    this.#course = h(
      'div',
      { class: 'course', part: 'course', attributes: { role: 'progressbar', 'aria-valuemin': 0, 'aria-valuemax': 100 } },
      h('span', { class: 'sailed' }),
      h('span', { class: 'vessel' }),
      island(),
    );
    const button = (name: OverviewAction, className: string) =>
      h('button', { class: className, attributes: { type: 'button', hidden: true }, on: { click: () => actions[name]() } });
    this.#buttons = {
      resumeAll: button('resumeAll', 'primary'),
      undoAll: button('undoAll', 'outlined'),
      retryAll: button('retryAll', 'outlined'),
      pauseAll: button('pauseAll', 'outlined'),
      copyAll: button('copyAll', 'outlined'),
      cancelAll: button('cancelAll', 'quiet'),
      clearEnded: button('clearEnded', 'outlined'),
    };
    this.#choices.append(...Object.values(this.#buttons));
    this.element = h(
      'section',
      { class: 'overview panel', part: 'overview', attributes: { hidden: true, tabindex: -1 } },
      h('div', { class: 'head' }, this.#figure, this.#files),
      this.#course,
      this.#facts,
      this.#choices,
    );
  }

  /**
   * @param refused number of files that the policy refused, which are not in the queue
   * @param undoable number of cancelled uploads that can be undone
   */
  show(queue: QueueSnapshot, refused: number, undoable: number, language: Language): void {
    const { strings } = language;
    this.element.hidden = queue.uploads.length + refused === 0;
    const view = overviewOf(queue, refused, undoable, language);
    setAttribute(this.element, 'data-tone', view.tone);
    setAttribute(this.element, 'aria-label', strings.overall);
    setText(this.#figure, view.figure);
    this.#figure.classList.toggle('words', !view.isPercent);
    setText(this.#files, view.files);
    setFacts(this.#facts, view.facts);
    this.#facts.hidden = view.facts.length === 0;
    // When all uploads ended and some did not complete, the course is hidden.
    this.#course.hidden = !view.isPercent && view.tone !== 'good';
    this.#course.style.setProperty('--_at', view.fraction.toFixed(4));
    setAttribute(this.#course, 'aria-label', strings.overall);
    setAttribute(this.#course, 'aria-valuenow', String(Math.floor(view.fraction * 100)));
    setAttribute(this.#course, 'aria-valuetext', [view.figure, view.files, ...view.facts].join(', '));
    const focused = Object.values(this.#buttons).find(isFocused);
    for (const name of Object.keys(this.#buttons) as OverviewAction[]) {
      setText(this.#buttons[name], strings[name]);
      this.#buttons[name].hidden = !view.actions.includes(name);
    }
    if (focused?.hidden) this.focus();
  }

  /** @param result text that says whether the links were copied */
  showCopied(result: string): void {
    setText(this.#buttons.copyAll, result);
  }

  /** Focuses the first visible button, after the one that had the focus was hidden. Without buttons, focuses the panel. */
  focus(): void {
    (Object.values(this.#buttons).find((candidate) => !candidate.hidden) ?? this.element).focus();
  }
}
