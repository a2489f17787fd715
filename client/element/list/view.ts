// What a row shows, worked out of an upload's snapshot: pure, so that every state can be held against its words.
import type { UploadError } from '../../../shared/errors.ts';
import type { UploadSnapshot, Waiting } from '../../handle/snapshot.ts';
import type { Language } from '../language.ts';
import type { Reason } from '../policy.ts';

export type Action = 'pause' | 'resume' | 'retry' | 'sendAgain' | 'download' | 'copyLink' | 'cancel' | 'undo' | 'remove';

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

/** Refused by the policy, before anything was sent. */
export function refusedView(file: { name: string; size: number }, why: Reason, language: Language): RowView {
  const { strings, formats } = language;
  const facts = [formats.bytes(file.size)];
  return { ...RESTING, tone: 'bad', state: strings.rejected, facts, reason: language.reason(why, file), actions: ['remove'] };
}

/** Chosen before the server told what it takes. */
export function pendingView(size: number, { strings, formats }: Language): RowView {
  return { ...RESTING, tone: 'moving', state: strings.preparing, facts: [formats.bytes(size)], reason: '', actions: [] };
}

/** Accepted in an earlier visit. */
export function arrivedView(arrival: { size: number; at: number; url: string }, { strings, formats }: Language): RowView {
  const { size, at, url } = arrival;
  const facts = [formats.bytes(size), strings.arrivedAt(formats.date(at))];
  return { ...RESTING, tone: 'good', state: strings.accepted, facts, reason: '', actions: ['download', 'copyLink', 'remove'], url };
}

/** Cancelled a moment ago; everything is as it was until the time for second thoughts is over. */
export function undoableView(snapshot: UploadSnapshot, language: Language, nowMs: number): RowView {
  const { strings } = language;
  return {
    ...rowView(snapshot, language, nowMs),
    tone: 'still',
    state: strings.cancelled,
    reason: '',
    actions: ['undo'],
    canTryNow: false,
  };
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
      return { ...progress, ...moving(snapshot, size, language), tone: 'moving', actions: ['pause', 'cancel'] };
    case 'waiting': {
      const state = strings.waiting[snapshot.waiting.reason];
      const reason = waitingWords(snapshot.waiting, language, nowMs);
      const canTryNow = snapshot.waiting.until !== undefined;
      return { ...progress, tone: 'warn', state, facts: [standing], reason, actions: ['pause', 'cancel'], canTryNow };
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
      const shown = { ...RESTING, tone: 'good' as const, state: strings.accepted, facts: [whole], reason: '' };
      return url === null ? { ...shown, actions: ['remove'] } : { ...shown, actions: ['download', 'copyLink', 'remove'], url };
    }
    case 'rejected':
      return {
        ...RESTING,
        tone: 'bad',
        state: strings.rejected,
        facts: [whole],
        reason: reasonOf(snapshot, language),
        actions: ['remove'],
      };
    case 'failed':
      return {
        ...progress,
        tone: 'bad',
        state: strings.failed,
        facts: [standing],
        reason: reasonOf(snapshot, language),
        actions: ['retry', 'remove'],
      };
    case 'cancelled':
      return { ...RESTING, tone: 'still', state: strings.cancelled, facts: [whole], reason: '', actions: ['sendAgain', 'remove'] };
  }
}

function moving(snapshot: UploadSnapshot, size: number, { strings, formats }: Language): Pick<RowView, 'state' | 'percent' | 'facts'> {
  if (size > 0 && snapshot.sent >= size) return { state: strings.arriving, percent: formats.percent(0.99), facts: [formats.bytes(size)] };
  const { part, whole } = formats.bytesOf(snapshot.sent, size);
  const facts = [strings.sentOf(part, whole)];
  if (snapshot.bytesPerSecond) facts.push(strings.speed(formats.running(snapshot.bytesPerSecond)));
  if (snapshot.etaSeconds != null && Number.isFinite(snapshot.etaSeconds)) {
    facts.push(strings.timeLeft(formats.duration(snapshot.etaSeconds)));
  }
  // The whole is whole only once the server says so.
  const percent = formats.percent(Math.min(fraction(snapshot.sent, size), 0.99));
  return { state: strings.uploading, percent, facts };
}

function waitingWords({ reason, until }: Waiting, { strings, formats }: Language, nowMs: number): string {
  const words: string[] = [strings.waitingReason[reason]];
  if (until !== undefined) {
    const seconds = (until - nowMs) / 1000;
    words.push(seconds > 1 ? strings.nextTry(formats.duration(seconds)) : strings.trying);
  }
  return words.join(' ');
}

export function reasonOf(snapshot: UploadSnapshot & { readonly error: UploadError }, language: Language): string {
  return language.reason(snapshot.error, snapshot);
}

function fraction(part: number, whole: number): number {
  return whole > 0 ? Math.min(part / whole, 1) : 0;
}
