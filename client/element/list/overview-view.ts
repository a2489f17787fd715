// Computes what the overview panel shows from the queue's snapshot.
import type { QueueSnapshot } from '../../handle/queue-snapshot.ts';
import type { Language } from '../language.ts';
import type { RowView } from './view.ts';

export type OverviewAction = 'resumeAll' | 'undoAll' | 'retryAll' | 'pauseAll' | 'copyAll' | 'cancelAll' | 'clearEnded';

export interface OverviewView {
  tone: RowView['tone'];
  figure: string;
  isPercent: boolean;
  files: string;
  facts: string[];
  fraction: number;
  actions: OverviewAction[];
}

/** @param undoable number of cancelled uploads that can be undone */
export function overviewOf(queue: QueueSnapshot, refused: number, undoable: number, language: Language): OverviewView {
  const { strings, formats } = language;
  const { counts } = queue;
  const all = queue.uploads.length + refused;
  const refusedOrStopped = counts.rejected + counts.failed + counts.cancelled + refused;
  const ended = counts.accepted + refusedOrStopped;
  const running = counts.preparing + counts.uploading + counts.inspecting;
  const active = running + counts.queued + counts.waiting;
  const actions: OverviewAction[] = [];
  if (counts.paused > 0) actions.push('resumeAll');
  if (undoable > 1) actions.push('undoAll');
  if (counts.failed > 0) actions.push('retryAll');
  if (active - counts.inspecting > 0) actions.push('pauseAll');
  // An upload in inspection cannot be cancelled.
  if (all > ended + counts.inspecting) actions.push('cancelAll');
  if (queue.uploads.filter(({ state, url }) => state === 'accepted' && url !== null).length > 1) actions.push('copyAll');
  if (ended > 0) actions.push('clearEnded');
  const files = all === 1 ? strings.oneFile : strings.filesOf(formats.count(counts.accepted), formats.count(all));
  if (all === ended) {
    const figure =
      counts.accepted === 0
        ? // The server may yet accept a file that was cancelled too late.
          counts.cancelled > 0
          ? strings.cancelled
          : strings.noneAccepted
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
    facts: factsOf(queue, tone, language),
    fraction,
    actions,
  };
}

function factsOf(queue: QueueSnapshot, tone: RowView['tone'], { strings, formats }: Language): string[] {
  const { part, whole } = formats.bytesOf(queue.sent, queue.size);
  const facts = [strings.sentOf(part, whole)];
  if (tone === 'warn') facts.push(strings.allWaiting);
  else if (tone === 'still') facts.push(strings.allPaused);
  else {
    if (queue.bytesPerSecond > 0) facts.push(strings.speed(formats.fixedWidth(queue.bytesPerSecond)));
    if (queue.etaSeconds !== null) facts.push(strings.timeLeft(formats.duration(queue.etaSeconds)));
  }
  return facts;
}
