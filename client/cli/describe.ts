// Uploads in words and columns for a terminal.
import { stripVTControlCharacters } from 'node:util';
import { formatBytes, formatDuration } from '../../shared/units.ts';
import type { QueueSnapshot } from '../handle/queue-snapshot.ts';
import type { UploadSnapshot, WaitingReason } from '../handle/snapshot.ts';
import { isOver } from '../handle/states.ts';

const WAITING: Readonly<Record<WaitingReason, string>> = {
  offline: 'waiting for the network',
  unreachable: 'the server does not answer',
  interrupted: 'the connection broke',
  stalled: 'the connection stopped moving',
  busy: 'the server is busy',
  'no-space': 'the server has no room right now',
  'too-many': 'as many of your uploads as allowed are under way',
  elsewhere: 'another process is sending this file',
  restarted: 'the server no longer has the beginning; starting again',
};

/** What an upload does, in a few words. */
export function describe(snapshot: UploadSnapshot, now: number): string {
  const { state, waiting, sent, size, bytesPerSecond, etaSeconds } = snapshot;
  switch (state) {
    case 'uploading':
      if (sent === size) return 'sent, waiting for the server';
      return `${formatBytes(Math.round(bytesPerSecond))}/s${etaSeconds === null ? '' : `, ${formatDuration(Math.ceil(etaSeconds) * 1000)} left`}`;
    case 'waiting': {
      const seconds = waiting.until === undefined ? 0 : Math.ceil((waiting.until - now) / 1000);
      return why(waiting.reason, snapshot) + (seconds > 1 ? `, next try in ${seconds} s` : '');
    }
    case 'inspecting':
      return 'all bytes are there, being checked';
    default:
      return state;
  }
}

/** The system tells more than that the server does not answer. */
function why(reason: WaitingReason, { error }: UploadSnapshot): string {
  if (reason !== 'unreachable' || error?.code !== 'ERR_NETWORK' || error.detail === undefined) return WAITING[reason];
  return error.detail.replace(/\.$/, '');
}

/** Whole percent, rounded down: 100 is for what is done. */
export function percent(part: number, whole: number | null): string {
  if (whole === null) return '';
  return `${whole === 0 ? 100 : Math.floor((part / whole) * 100)} %`;
}

export function totalText({ uploads, counts, sent, size, bytesPerSecond, etaSeconds }: QueueSnapshot): string {
  const over = uploads.filter(({ state }) => isOver(state)).length;
  const wrong = counts.failed + counts.rejected;
  const parts = [
    `${over} of ${uploads.length} ${uploads.length === 1 ? 'file' : 'files'}${wrong > 0 ? ` (${wrong} not accepted)` : ''}`,
    `${formatBytes(sent)} of ${formatBytes(size)}`,
    percent(sent, size),
    ...(bytesPerSecond >= 1 ? [`${formatBytes(Math.round(bytesPerSecond))}/s`] : []),
    ...(etaSeconds !== null ? [`${formatDuration(Math.ceil(etaSeconds) * 1000)} left`] : []),
  ];
  return parts.join(', ');
}

/** A name as a terminal may show it: nothing in it moves the cursor, colours or hides what follows. */
export function printable(text: string): string {
  return stripVTControlCharacters(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, '\ufffd');
}

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
/** What takes two columns: East Asian scripts and full-width forms, and pictures. */
const WIDE =
  /^(?:[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff01-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}|.\ufe0f)/u;

/** Cut in the middle, so that beginning and extension show, and filled up to exactly so many columns. */
export function fitted(text: string, columns: number): string {
  const parts = Array.from(graphemes.segment(text), ({ segment }) => ({ segment, width: WIDE.test(segment) ? 2 : 1 }));
  let width = parts.reduce((sum, part) => sum + part.width, 0);
  if (width <= columns) return text + ' '.repeat(columns - width);
  let middle = Math.floor(parts.length / 2);
  const kept = [...parts];
  while (width > columns - 1 && kept.length > 0) {
    width -= kept.splice(middle, 1)[0]?.width ?? 0;
    if (middle > kept.length / 2) middle -= 1;
  }
  const before = kept.slice(0, middle).map(({ segment }) => segment);
  const after = kept.slice(middle).map(({ segment }) => segment);
  return `${before.join('')}…${after.join('')}${' '.repeat(Math.max(columns - width - 1, 0))}`;
}
