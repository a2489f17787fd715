import type { QueueSnapshot } from '../queue.ts';
import { island } from './contours.ts';
import { h, setAttribute, setFacts, setText } from './dom.ts';
import { question } from './question.ts';
import type { UploadStrings } from './strings.ts';
import type { Language } from './view.ts';

export type Tone = 'moving' | 'still' | 'warn' | 'good' | 'bad';

export interface OverviewActions {
  pauseAll(): void;
  resumeAll(): void;
  retryAll(): void;
  cancelAll(): void;
  clearEnded(): void;
}

type ActionName = keyof OverviewActions;

/** All uploads as one: the figure, the course, and what can be done with all of them. */
export class Overview {
  readonly element: HTMLElement;
  readonly #figure = h('span', { class: 'figure', part: 'figure' });
  readonly #files = h('span', { class: 'files' });
  readonly #facts = h('div', { class: 'facts' });
  readonly #course: HTMLElement;
  readonly #choices = h('div', { class: 'choices' });
  readonly #buttons: Record<ActionName, HTMLButtonElement>;
  #question: HTMLElement | undefined;

  constructor(actions: OverviewActions) {
    this.#course = h(
      'div',
      { class: 'course', part: 'course', attributes: { role: 'progressbar', 'aria-valuemin': 0, 'aria-valuemax': 100 } },
      h('span', { class: 'sailed' }),
      h('span', { class: 'vessel' }),
      island(),
    );
    const button = (name: ActionName, look: string) =>
      h('button', { class: look, attributes: { type: 'button', hidden: true }, on: { click: () => actions[name]() } });
    this.#buttons = {
      resumeAll: button('resumeAll', 'primary'),
      retryAll: button('retryAll', 'outlined'),
      pauseAll: button('pauseAll', 'outlined'),
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

  /** `refused`: files that the policy refused here and the queue never saw. */
  show(queue: QueueSnapshot, refused: number, language: Language): void {
    const { strings } = language;
    this.element.hidden = queue.uploads.length + refused === 0;
    const view = overviewOf(queue, refused, language);
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
    for (const name of Object.keys(this.#buttons) as ActionName[]) {
      setText(this.#buttons[name], strings[name]);
      this.#buttons[name].hidden = !view.actions.includes(name);
    }
    if (!view.actions.includes('cancelAll')) this.#question?.remove();
  }

  ask(text: string, strings: UploadStrings, onYes: () => void): void {
    this.#question?.remove();
    this.#question = question({ text, strings, onYes, onClosed: () => this.focus() });
    this.element.append(this.#question);
  }

  /** To the first control there is, when the one that was used is gone. */
  focus(): boolean {
    const button = Object.values(this.#buttons).find((candidate) => !candidate.hidden);
    button?.focus();
    return button !== undefined;
  }
}

interface OverviewView {
  tone: Tone;
  figure: string;
  isPercent: boolean;
  files: string;
  facts: string[];
  fraction: number;
  actions: ActionName[];
}

export function overviewOf(queue: QueueSnapshot, refused: number, { strings, formats }: Language): OverviewView {
  const { counts } = queue;
  const all = queue.uploads.length + refused;
  const refusedOrStopped = counts.rejected + counts.failed + counts.cancelled + refused;
  const ended = counts.accepted + refusedOrStopped;
  const running = counts.preparing + counts.uploading + counts.inspecting;
  const active = running + counts.queued + counts.waiting;
  const actions: ActionName[] = [];
  if (counts.paused > 0) actions.push('resumeAll');
  if (counts.failed > 0) actions.push('retryAll');
  if (active - counts.inspecting > 0) actions.push('pauseAll');
  // What is being inspected is out of the sender's hands.
  if (all > ended + counts.inspecting) actions.push('cancelAll');
  if (ended > 0) actions.push('clearEnded');
  const files = all === 1 ? strings.oneFile : strings.filesOf(formats.count(counts.accepted), formats.count(all));
  if (all === ended) {
    const figure =
      counts.accepted === 0
        ? strings.noneAccepted
        : refusedOrStopped === 0
          ? strings.allAccepted(counts.accepted)
          : strings.allEnded(counts.accepted, refusedOrStopped);
    const facts = queue.size > 0 ? [formats.bytes(queue.size)] : [];
    const tone = refusedOrStopped === 0 ? 'good' : counts.accepted > 0 ? 'still' : 'bad';
    return { tone, figure, isPercent: false, files, facts, fraction: refusedOrStopped === 0 ? 1 : 0, actions };
  }
  const fraction = queue.size > 0 ? Math.min(queue.sent / queue.size, 0.995) : 0;
  const tone = running > 0 ? 'moving' : counts.waiting > 0 ? 'warn' : counts.paused > 0 ? 'still' : 'moving';
  return {
    tone,
    figure: formats.percent(fraction),
    isPercent: true,
    files,
    facts: factsOf(queue, tone, { strings, formats }),
    fraction,
    actions,
  };
}

function factsOf(queue: QueueSnapshot, tone: Tone, { strings, formats }: Language): string[] {
  const { part, whole } = formats.bytesOf(queue.sent, queue.size);
  const facts = [strings.sentOf(part, whole)];
  if (tone === 'warn') facts.push(strings.allWaiting);
  else if (tone === 'still') facts.push(strings.allPaused);
  else {
    if (queue.bytesPerSecond > 0) facts.push(formats.speed(queue.bytesPerSecond));
    if (queue.etaSeconds !== null) facts.push(strings.timeLeft(formats.duration(queue.etaSeconds)));
  }
  return facts;
}
