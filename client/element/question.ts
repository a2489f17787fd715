import { h } from './dom.ts';
import type { UploadStrings } from './strings.ts';

/** Giving up more than this is asked about first: half an hour of somebody's evening. */
export const ASK_FROM_BYTES: number = 64 * 1024 * 1024;

export interface QuestionOptions {
  text: string;
  strings: UploadStrings;
  onYes(): void;
  /** Answered either way; the focus was in it. */
  onClosed(): void;
}

/** "Give up the 3 GiB already sent?" in its place, not in a dialog: the other uploads stay in sight. Escape keeps. */
export function question({ text, strings, onYes, onClosed }: QuestionOptions): HTMLElement {
  const close = (act?: () => void) => {
    element.remove();
    onClosed();
    act?.();
  };
  const button = (label: string, look: string, act: () => void) =>
    h('button', { class: look, attributes: { type: 'button' }, on: { click: act } }, label);
  const keep = button(strings.keep, 'outlined', () => close());
  const onKey = (event: Event) => {
    if (event instanceof KeyboardEvent && event.key === 'Escape') close();
  };
  const element = h(
    'div',
    { class: 'question', attributes: { role: 'group', 'aria-label': text }, on: { keydown: onKey } },
    h('p', {}, text),
    keep,
    button(strings.discard, 'outlined danger', () => close(onYes)),
  );
  // Once it is in the document.
  queueMicrotask(() => keep.focus());
  return element;
}
