// What a row shows, worked out of an upload's snapshot: pure, so that every state can be held against its words.
import type { UploadError } from '../../../shared/errors.ts';
import type { UploadSnapshot, Waiting } from '../../handle/snapshot.ts';
import type { Formats } from '../format.ts';
import type { UploadStrings } from '../strings.ts';

export type Action = 'pause' | 'resume' | 'retry' | 'sendAgain' | 'download' | 'cancel' | 'remove';

export interface RowView {
  tone: 'moving' | 'still' | 'warn' | 'good' | 'bad';
  /** `looking`: full, and the server is at work. */
  bar: 'moving' | 'looking' | 'none';
  /** 0 to 1. */
  sent: number;
  confirmed: number;
  percent: string;
  state: string;
  facts: string[];
  /** A sentence or two, where there is something to understand. */
  reason: string;
  actions: Action[];
  /** Beside the reason: the next try need not be waited for. */
  canTryNow?: boolean;
  url?: string;
}

export interface Language {
  strings: UploadStrings;
  formats: Formats;
}

/** Refused by the policy, before anything was sent. */
export function refusedView(size: number, reason: string, { strings, formats }: Language): RowView {
  const facts = [formats.bytes(size)];
  return { ...RESTING, tone: 'bad', state: strings.rejected, facts, reason, actions: ['remove'] };
}

const RESTING = { bar: 'none', sent: 0, confirmed: 0, percent: '' } as const;

export function rowView(snapshot: UploadSnapshot, language: Language, nowMs: number): RowView {
  const { strings, formats } = language;
  const size = snapshot.size ?? 0;
  const whole = formats.bytes(size);
  const progress = {
    bar: 'moving' as const,
    sent: fraction(Math.max(snapshot.sent, snapshot.confirmed), size),
    confirmed: fraction(snapshot.confirmed, size),
    percent: formats.percent(fraction(snapshot.confirmed, size)),
    reason: '',
  };
  const stood = formats.bytesOf(snapshot.confirmed, size);
  const standing = snapshot.confirmed > 0 ? strings.sentOf(stood.part, stood.whole) : whole;
  switch (snapshot.state) {
    case 'queued':
      return { ...progress, tone: 'still', state: strings.queued, facts: [standing], actions: ['pause', 'cancel'] };
    case 'preparing':
      return { ...progress, tone: 'moving', state: strings.preparing, facts: [standing], actions: ['pause', 'cancel'] };
    case 'uploading':
      return { ...progress, ...moving(snapshot, size, language), tone: 'moving', state: strings.uploading, actions: ['pause', 'cancel'] };
    case 'waiting': {
      const reason = waitingWords(snapshot.waiting, language, nowMs);
      const canTryNow = snapshot.waiting.until !== undefined;
      return { ...progress, tone: 'warn', state: strings.waiting, facts: [standing], reason, actions: ['pause', 'cancel'], canTryNow };
    }
    case 'paused':
      return { ...progress, tone: 'still', state: strings.paused, facts: [standing], actions: ['resume', 'cancel'] };
    case 'inspecting':
      return {
        ...progress,
        bar: 'looking',
        sent: 1,
        confirmed: 1,
        percent: formats.percent(0.99),
        tone: 'moving',
        state: strings.inspecting,
        facts: [],
        actions: [],
      };
    case 'accepted': {
      const { url } = snapshot;
      return { ...RESTING, tone: 'good', state: strings.accepted, facts: [whole], reason: '', actions: ['download', 'remove'], url };
    }
    case 'rejected':
      return { ...RESTING, tone: 'bad', state: strings.rejected, facts: [whole], reason: reasonOf(snapshot.error), actions: ['remove'] };
    case 'failed':
      return {
        ...progress,
        tone: 'bad',
        state: strings.failed,
        facts: [standing],
        reason: reasonOf(snapshot.error),
        actions: ['retry', 'remove'],
      };
    case 'cancelled':
      return { ...RESTING, tone: 'still', state: strings.cancelled, facts: [whole], reason: '', actions: ['sendAgain', 'remove'] };
  }
}

function moving(snapshot: UploadSnapshot, size: number, { strings, formats }: Language): Pick<RowView, 'percent' | 'facts'> {
  const { part, whole } = formats.bytesOf(snapshot.sent, size);
  const facts = [strings.sentOf(part, whole)];
  if (snapshot.bytesPerSecond) facts.push(formats.speed(snapshot.bytesPerSecond));
  if (snapshot.etaSeconds != null && Number.isFinite(snapshot.etaSeconds)) {
    facts.push(strings.timeLeft(formats.duration(snapshot.etaSeconds)));
  }
  // The whole is whole only once the server says so.
  return { percent: formats.percent(Math.min(fraction(snapshot.sent, size), 0.99)), facts };
}

function waitingWords({ reason, until }: Waiting, { strings, formats }: Language, nowMs: number): string {
  const words: string[] = [strings.waitingReason[reason]];
  if (until !== undefined) {
    const seconds = (until - nowMs) / 1000;
    words.push(seconds > 1 ? strings.nextTry(formats.duration(seconds)) : strings.trying);
  }
  return words.join(' ');
}

/** The title is a sentence for people, and so is the detail. */
export function reasonOf(error: UploadError): string {
  return [error.title, error.detail].filter(Boolean).join(' ');
}

function fraction(part: number, whole: number): number {
  return whole > 0 ? Math.min(part / whole, 1) : 0;
}
