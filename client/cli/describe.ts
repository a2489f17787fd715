// Describes uploads in text for a terminal.
import { stripVTControlCharacters } from 'node:util';
import { formatBytes, formatDuration } from '../../shared/units.ts';
import type { QueueSnapshot } from '../handle/queue-snapshot.ts';
import type { UploadSnapshot, WaitingReason } from '../handle/snapshot.ts';
import { isFinal } from '../handle/states.ts';

const WAITING: Readonly<Record<WaitingReason, string>> = {
  offline: 'waiting for the network',
  unreachable: 'the server cannot be reached',
  interrupted: 'the connection broke',
  stalled: 'the connection stalled',
  busy: 'the server is busy',
  'no-space': 'the server has no space right now',
  'too-many': 'waiting for your other uploads to end',
  elsewhere: 'another process is uploading this file',
  restarted: 'the server no longer has the first part, starting over',
};

/** The state of an upload in a few words. */
export function describe(snapshot: UploadSnapshot, now: number): string {
  const { state, waiting, sent, size, bytesPerSecond, etaSeconds } = snapshot;
  switch (state) {
    case 'uploading':
      if (sent === size) return 'sent, waiting for the server';
      return `${formatBytes(Math.round(bytesPerSecond))}/s${etaSeconds === null ? '' : `, ${formatDuration(Math.ceil(etaSeconds) * 1000)} left`}`;
    case 'waiting': {
      const seconds = waiting.until === undefined ? 0 : Math.ceil((waiting.until - now) / 1000);
      return waitingText(waiting.reason, snapshot) + (seconds > 1 ? `, retrying in ${seconds} s` : '');
    }
    case 'inspecting':
      return 'upload finished, being checked';
    default:
      return state;
  }
}

/** Prefers the system's reason why no connection could be established. */
function waitingText(reason: WaitingReason, { error }: UploadSnapshot): string {
  if (reason !== 'unreachable' || error?.code !== 'ERR_NETWORK' || error.detail === undefined) return WAITING[reason];
  return error.detail.replace(/\.$/, '');
}

/** Whole percent, rounded down, so that an unfinished upload never shows 100 %. */
export function percent(part: number, whole: number | null): string {
  if (whole === null) return '';
  return `${whole === 0 ? 100 : Math.floor((part / whole) * 100)} %`;
}

export function totalText({ uploads, counts, sent, size, bytesPerSecond, etaSeconds }: QueueSnapshot): string {
  const ended = uploads.filter(({ state }) => isFinal(state)).length;
  const notAccepted = counts.failed + counts.rejected;
  const parts = [
    `${ended} of ${uploads.length} ${uploads.length === 1 ? 'file' : 'files'}${notAccepted > 0 ? ` (${notAccepted} not accepted)` : ''}`,
    `${formatBytes(sent)} of ${formatBytes(size)}`,
    percent(sent, size),
    ...(bytesPerSecond >= 1 ? [`${formatBytes(Math.round(bytesPerSecond))}/s`] : []),
    ...(etaSeconds !== null ? [`${formatDuration(Math.ceil(etaSeconds) * 1000)} left`] : []),
  ];
  return parts.join(', ');
}

/** Makes a name safe for a terminal: removes control sequences and replaces invisible characters. */
export function printable(text: string): string {
  return stripVTControlCharacters(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, '\ufffd');
}

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
/** Characters that take two columns: East Asian scripts, full-width forms and emoji. */
const WIDE =
  /^(?:[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff01-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}|.\ufe0f)/u;

/** Fits text to exactly this many columns: cuts the middle, so that the extension stays visible, or pads the end. */
export function fitColumns(text: string, columns: number): string {
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
