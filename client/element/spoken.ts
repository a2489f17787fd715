import type { QueueSnapshot } from '../handle/queue-snapshot.ts';
import type { UploadSnapshot, UploadState } from '../handle/snapshot.ts';
import { h } from './dom.ts';
import type { Language } from './language.ts';
import { reasonOf } from './list/view.ts';
import { visibleName } from './name.ts';

/** Turns changes of state into what is worth saying aloud: ends, stops, and that the connection went or came back. */
export class Spoken {
  readonly #states = new Map<string, UploadState>();
  #isInterrupted = false;

  changes(queue: QueueSnapshot, language: Language): string[] {
    const { strings } = language;
    const messages: string[] = [];
    for (const snapshot of queue.uploads) {
      const before = this.#states.get(snapshot.id);
      if (before === snapshot.state) continue;
      this.#states.set(snapshot.id, snapshot.state);
      const message = before === undefined ? undefined : change(snapshot, before, language);
      if (message) messages.push(message);
    }
    // One sentence for all of them: twenty uploads lose the same connection.
    const { waiting, uploading } = queue.counts;
    if (waiting > 0 && uploading === 0 && !this.#isInterrupted) {
      this.#isInterrupted = true;
      messages.push(strings.spokenWaiting);
    } else if (uploading > 0 && this.#isInterrupted) {
      this.#isInterrupted = false;
      messages.push(strings.spokenOnline);
    }
    return messages;
  }
}

function change(snapshot: UploadSnapshot, before: UploadState, language: Language): string | undefined {
  const { strings } = language;
  const name = visibleName(snapshot.name);
  switch (snapshot.state) {
    case 'accepted':
      return strings.spokenAccepted(name);
    case 'rejected':
      return strings.spokenRefused(name, reasonOf(snapshot, language));
    case 'failed':
      return strings.spokenFailed(name, reasonOf(snapshot, language));
    case 'cancelled':
      return strings.spokenCancelled(name);
    case 'paused':
      return strings.spokenPaused(name);
    default:
      return before === 'paused' || before === 'cancelled' ? strings.spokenResumed(name) : undefined;
  }
}

/** Long enough to be spoken after whatever is being spoken, then gone, so that nobody reads a pile of old news. */
const KEPT_MS = 12_000;

/** What a screen reader says of changes that are only seen. Progress is not spoken: it is asked for at the bars. */
export class Announcer {
  readonly element: HTMLElement = h('div', { class: 'spoken', attributes: { role: 'status', 'aria-live': 'polite' } });

  say(message: string): void {
    const line = h('p', {}, message);
    this.element.append(line);
    setTimeout(() => line.remove(), KEPT_MS);
  }
}
