import type { QueueSnapshot } from '../../handle/queue-snapshot.ts';
import { island } from '../contours.ts';
import { h, setAttribute, setFacts, setText } from '../dom.ts';
import type { Language } from '../language.ts';
import { type OverviewAction, overviewOf } from './overview-view.ts';

export type OverviewActions = Readonly<Record<OverviewAction, () => void>>;

/** All uploads as one: the figure, the course, and what can be done with all of them. */
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
    const button = (name: OverviewAction, look: string) =>
      h('button', { class: look, attributes: { type: 'button', hidden: true }, on: { click: () => actions[name]() } });
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
      { class: 'overview panel', part: 'overview', attributes: { hidden: true } },
      h('div', { class: 'head' }, this.#figure, this.#files),
      this.#course,
      this.#facts,
      this.#choices,
    );
  }

  /**
   * @param refused files that the policy refused here and the queue never saw
   * @param undoable uploads that were cancelled a moment ago
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
    // Of a course that did not end on land there is nothing to show.
    this.#course.hidden = !view.isPercent && view.tone !== 'good';
    this.#course.style.setProperty('--_at', view.fraction.toFixed(4));
    setAttribute(this.#course, 'aria-label', strings.overall);
    setAttribute(this.#course, 'aria-valuenow', String(Math.floor(view.fraction * 100)));
    setAttribute(this.#course, 'aria-valuetext', [view.figure, view.files, ...view.facts].join(', '));
    for (const name of Object.keys(this.#buttons) as OverviewAction[]) {
      setText(this.#buttons[name], strings[name]);
      this.#buttons[name].hidden = !view.actions.includes(name);
    }
  }

  /** @param said what became of copying the links */
  showCopied(said: string): void {
    setText(this.#buttons.copyAll, said);
  }

  /** To the first control there is, when the one that was used is gone. */
  focus(): boolean {
    const button = Object.values(this.#buttons).find((candidate) => !candidate.hidden);
    button?.focus();
    return button !== undefined;
  }
}
