import type { QueueSnapshot } from '../handle/queue-snapshot.ts';
import type { UploadSnapshot, UploadState } from '../handle/snapshot.ts';
import { h } from './dom.ts';
import type { Language } from './language.ts';
import { reasonOf } from './list/view.ts';
import { visibleName } from './name.ts';

/** Turns state changes into screen reader announcements: ended, paused and resumed uploads, and a lost or restored connection. */
export class StateAnnouncements {
  readonly #states = new Map<string, UploadState>();
  #isInterrupted = false;

  changes(queue: QueueSnapshot, language: Language): string[] {
    const { strings } = language;
    const messages: string[] = [];
    for (const snapshot of queue.uploads) {
      const before = this.#states.get(snapshot.id);
      if (before === snapshot.state) continue;
      this.#states.set(snapshot.id, snapshot.state);
      const message = before === undefined ? undefined : announcementOf(snapshot, before, language);
      if (message) messages.push(message);
    }
    // One announcement for all uploads, which lose the same connection.
    const { waiting, uploading } = queue.counts;
    if (waiting > 0 && uploading === 0 && !this.#isInterrupted) {
      this.#isInterrupted = true;
      messages.push(strings.announceWaiting);
    } else if (uploading > 0 && this.#isInterrupted) {
      this.#isInterrupted = false;
      messages.push(strings.announceOnline);
    }
    return messages;
  }
}

function announcementOf(snapshot: UploadSnapshot, before: UploadState, language: Language): string | undefined {
  const { strings } = language;
  const name = visibleName(snapshot.name);
  switch (snapshot.state) {
    case 'accepted':
      return strings.announceAccepted(name);
    case 'rejected':
      return strings.announceRefused(name, reasonOf(snapshot, language));
    case 'failed':
      return strings.announceFailed(name, reasonOf(snapshot, language));
    case 'cancelled':
      return strings.announceCancelled(name);
    case 'inspecting':
      return before === 'cancelled' ? `${name}: ${strings.tooLateToCancel}` : undefined;
    case 'paused':
      return strings.announcePaused(name);
    default:
      return before === 'paused' || before === 'cancelled' ? strings.announceResumed(name) : undefined;
  }
}

/** Long enough to be read after earlier announcements; then removed, so that old announcements do not pile up. */
const KEEP_MS = 12_000;

/** Announces changes to screen readers. Does not announce progress, which users read from the progress bars. */
export class Announcer {
  readonly element: HTMLElement = h('div', { class: 'announcer', attributes: { role: 'status', 'aria-live': 'polite' } });

  announce(message: string): void {
    const line = h('p', {}, message);
    this.element.append(line);
    setTimeout(() => line.remove(), KEEP_MS);
  }
}
