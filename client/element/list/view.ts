// Computes what a row shows from an upload's snapshot. Pure functions, so that a test can check the texts of every state.
import type { UploadError } from '../../../shared/errors.ts';
import type { UploadSnapshot, Waiting } from '../../handle/snapshot.ts';
import type { CancellationPhase } from '../cancellations.ts';
import type { Language } from '../language.ts';
import type { Reason } from '../policy.ts';

export type Action = 'pause' | 'resume' | 'retry' | 'sendAgain' | 'download' | 'copyLink' | 'cancel' | 'undo' | 'remove';

export interface RowView {
  tone: 'moving' | 'still' | 'warn' | 'good' | 'bad';
  /** `inspecting`: the bar is full, and the server checks the file. */
  bar: 'moving' | 'inspecting' | 'none';
  /** 0 to 1. */
  sent: number;
  confirmed: number;
  percent: string;
  state: string;
  facts: string[];
  /** A sentence or two that explain the state; may be empty. */
  reason: string;
  actions: Action[];
  /** Shows a button that retries now, next to the reason. */
  canRetryNow?: boolean;
  url?: string;
}

/** A file that the policy refused before anything was sent. */
export function refusedView(file: { name: string; size: number }, why: Reason, language: Language): RowView {
  const { strings, formats } = language;
  const facts = [formats.bytes(file.size)];
  return { ...WITHOUT_BAR, tone: 'bad', state: strings.rejected, facts, reason: language.reason(why, file), actions: ['remove'] };
}

/** A file that was added before the policy was known. */
export function pendingView(size: number, { strings, formats }: Language): RowView {
  return { ...WITHOUT_BAR, tone: 'moving', state: strings.preparing, facts: [formats.bytes(size)], reason: '', actions: [] };
}

/** A file that the server accepted in an earlier visit. */
export function completedView(upload: { size: number; at: number; url: string }, { strings, formats }: Language): RowView {
  const { size, at, url } = upload;
  const facts = [formats.bytes(size), strings.completedAt(formats.date(at))];
  return { ...WITHOUT_BAR, tone: 'good', state: strings.accepted, facts, reason: '', actions: ['download', 'copyLink', 'remove'], url };
}

/** An upload that the user cancelled, until the server has deleted it. */
export function cancellationView(snapshot: UploadSnapshot, phase: CancellationPhase, language: Language, nowMs: number): RowView {
  const { strings } = language;
  const view = rowView(snapshot, language, nowMs);
  switch (phase) {
    case 'undoable':
      return { ...view, ...progressOf(snapshot, language), facts: [amountOf(snapshot, language)], actions: ['undo'] };
    // Not offered again yet: the server may still accept it, and would then store it twice.
    case 'deleting':
      return { ...view, actions: ['remove'] };
    case 'unreachable':
      return { ...view, reason: strings.cancelUnconfirmed, actions: ['remove'] };
    case 'too-late':
      return snapshot.state === 'rejected' ? view : { ...view, reason: strings.tooLateToCancel };
  }
}

const WITHOUT_BAR = { bar: 'none', sent: 0, confirmed: 0, percent: '' } as const;

export function rowView(snapshot: UploadSnapshot, language: Language, nowMs: number): RowView {
  const { strings, formats } = language;
  const size = snapshot.size ?? 0;
  const whole = formats.bytes(size);
  const progress = { ...progressOf(snapshot, language), reason: '' };
  const amount = amountOf(snapshot, language);
  switch (snapshot.state) {
    case 'queued':
      return { ...progress, tone: 'still', state: strings.queued, facts: [amount], actions: ['pause', 'cancel'] };
    case 'preparing':
      return { ...progress, tone: 'moving', state: strings.preparing, facts: [amount], actions: ['pause', 'cancel'] };
    case 'uploading':
      return { ...progress, ...moving(snapshot, size, language), tone: 'moving', actions: ['pause', 'cancel'] };
    case 'waiting': {
      const state = strings.waiting[snapshot.waiting.reason];
      const reason = waitingWords(snapshot.waiting, language, nowMs);
      const canRetryNow = snapshot.waiting.until !== undefined;
      return { ...progress, tone: 'warn', state, facts: [amount], reason, actions: ['pause', 'cancel'], canRetryNow };
    }
    case 'paused':
      return { ...progress, tone: 'still', state: strings.paused, facts: [amount], actions: ['resume', 'cancel'] };
    case 'inspecting':
      return {
        ...progress,
        bar: 'inspecting',
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
      const shown = { ...WITHOUT_BAR, tone: 'good' as const, state: strings.accepted, facts: [whole], reason: '' };
      return url === null ? { ...shown, actions: ['remove'] } : { ...shown, actions: ['download', 'copyLink', 'remove'], url };
    }
    case 'rejected':
      return {
        ...WITHOUT_BAR,
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
        facts: [amount],
        reason: reasonOf(snapshot, language),
        actions: ['retry', 'remove'],
      };
    case 'cancelled':
      return { ...WITHOUT_BAR, tone: 'still', state: strings.cancelled, facts: [whole], reason: '', actions: ['sendAgain', 'remove'] };
  }
}

function progressOf(
  { sent, confirmed, size }: UploadSnapshot,
  { formats }: Language,
): Pick<RowView, 'bar' | 'sent' | 'confirmed' | 'percent'> {
  const whole = size ?? 0;
  const part = fraction(confirmed, whole);
  return { bar: 'moving', sent: fraction(Math.max(sent, confirmed), whole), confirmed: part, percent: formats.percent(part) };
}

function amountOf({ confirmed, size }: UploadSnapshot, { strings, formats }: Language): string {
  const { part, whole } = formats.bytesOf(confirmed, size ?? 0);
  return confirmed > 0 ? strings.sentOf(part, whole) : formats.bytes(size ?? 0);
}

function moving(snapshot: UploadSnapshot, size: number, { strings, formats }: Language): Pick<RowView, 'state' | 'percent' | 'facts'> {
  if (size > 0 && snapshot.sent >= size) return { state: strings.allSent, percent: formats.percent(0.99), facts: [formats.bytes(size)] };
  const { part, whole } = formats.bytesOf(snapshot.sent, size);
  const facts = [strings.sentOf(part, whole)];
  if (snapshot.bytesPerSecond) facts.push(strings.speed(formats.fixedWidth(snapshot.bytesPerSecond)));
  if (snapshot.etaSeconds != null && Number.isFinite(snapshot.etaSeconds)) {
    facts.push(strings.timeLeft(formats.duration(snapshot.etaSeconds)));
  }
  // 100 % is shown only after the server accepted the file.
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
