import { h } from './dom.ts';

/** Long enough to be spoken after whatever is being spoken, then gone, so that nobody reads a pile of old news. */
const KEPT_MS = 12_000;

/** What a screen reader says of changes that are only seen. Progress is not spoken: it is asked for at the bars. */
export class Announcer {
  readonly element = h('div', { class: 'spoken', attributes: { role: 'status', 'aria-live': 'polite' } });

  say(message: string): void {
    const line = h('p', {}, message);
    this.element.append(line);
    setTimeout(() => line.remove(), KEPT_MS);
  }
}
