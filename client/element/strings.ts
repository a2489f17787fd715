// All texts that the element shows or announces. A page may replace any of them: `element.strings = { pause: 'Anhalten' }`.

import type { ErrorCode } from '../../shared/errors.ts';

/**
 * The facts of a refusal or failure, formatted in the element's language.
 *
 * @example
 * ```ts
 * import type { ReasonParts } from 'landfall/element';
 *
 * const tooLarge = ({ name, size, limit }: ReasonParts) => `${name} hat ${size}, erlaubt sind ${limit}.`;
 * ```
 */
export interface ReasonParts {
  /** Name of the file. */
  readonly name: string;
  /** Extension with its dot; empty when the name has none. */
  readonly extension: string;
  /** Size of the file, such as `1.2 GiB`. */
  readonly size: string;
  /** Largest file that the server accepts, such as `10 GiB`; empty when there is no limit, or it is unknown. */
  readonly limit: string;
  /** Kinds of files that the server accepts; empty when unknown. */
  readonly allowed: string;
  /** Meaning of the code, in English. */
  readonly title: string;
  /** Details about this file from the server or the client, in English; often empty. */
  readonly detail: string;
}

/** A text for each error code. For codes that are left out, the English title and detail are shown. */
export type ReasonWords = { readonly [Code in ErrorCode]?: (parts: ReasonParts) => string };

const WORDS = {
  // The drop zone
  dropHere: 'Drop files or folders here',
  dropMore: 'Drop more files here',
  /** Heading on devices without drag and drop. */
  choose: 'Choose files to upload',
  dropNow: 'Drop to upload',
  chooseFiles: 'Choose files',
  chooseFolder: 'Choose a folder',
  addFiles: 'Add files',
  addFolder: 'Folder',
  label: 'Upload files',
  limit: (size: string): string => `Up to ${size} per file.`,
  allowed: (kinds: string): string => `Accepted: ${kinds}.`,
  /** Kinds of files, by their name in the server's policy. Other names are shown unchanged. */
  groups: {
    images: 'images',
    documents: 'documents',
    video: 'video',
    audio: 'audio',
    archives: 'archives',
    text: 'text',
    scans: 'scans',
    data: 'data sets',
    disks: 'disk images',
  } as Readonly<Record<string, string>>,
  andMore: (kinds: string): string => `${kinds} and more`,
  units: { B: 'B', KiB: 'KiB', MiB: 'MiB', GiB: 'GiB', TiB: 'TiB', PiB: 'PiB' },
  speed: (amount: string): string => `${amount}/s`,

  // All uploads together
  overall: 'All uploads',
  list: 'Files',
  filesOf: (done: string, all: string): string => `${done} of ${all} files`,
  oneFile: '1 file',
  allAccepted: (count: number): string => (count === 1 ? 'Upload complete' : `All ${count} uploads complete`),
  allEnded: (accepted: number, others: number): string => `${accepted} complete, ${others} not`,
  allPaused: 'paused',
  allWaiting: 'waiting for the network',
  noneAccepted: 'Nothing was uploaded',
  pauseAll: 'Pause all',
  resumeAll: 'Resume all',
  retryAll: 'Retry all',
  cancelAll: 'Cancel all',
  undoAll: 'Undo',
  copyAll: 'Copy all links',
  clearEnded: 'Clear finished',

  // One upload
  pause: 'Pause',
  resume: 'Resume',
  cancel: 'Cancel',
  undo: 'Undo',
  retry: 'Retry',
  retryNow: 'Retry now',
  sendAgain: 'Upload again',
  remove: 'Remove from list',
  download: 'Download',
  copyLink: 'Copy link',
  copied: 'Copied',
  copyFailed: 'Could not copy',
  /** Label of a button for screen readers, which do not show the button's row. */
  buttonFor: (action: string, name: string): string => `${action}: ${name}`,
  sentOf: (part: string, whole: string): string => `${part} of ${whole}`,
  timeLeft: (time: string): string => `${time} left`,
  queued: 'Queued',
  preparing: 'Preparing',
  uploading: 'Uploading',
  /** All bytes have left this device, but the server does not have all of them yet. */
  allSent: 'Sent, waiting for the server',
  waiting: {
    offline: 'Waiting for the network',
    unreachable: 'Waiting for the network',
    interrupted: 'Waiting for the network',
    stalled: 'Waiting for the network',
    busy: 'Waiting for the server',
    'no-space': 'Waiting for the server',
    'too-many': 'Waiting for other uploads',
    elsewhere: 'Waiting for another tab',
    restarted: 'Starting over',
  },
  waitingReason: {
    offline: 'You are offline. The upload resumes when you are back online.',
    unreachable: 'The server cannot be reached. Your progress is saved.',
    interrupted: 'The connection was interrupted. Your progress is saved.',
    stalled: 'The connection stalled. Your progress is saved.',
    busy: 'The server is busy. Your progress is saved.',
    'no-space': 'The server has no space for this file right now.',
    'too-many': 'You have reached the limit of uploads at the same time. This one resumes when another one ends.',
    elsewhere: 'Another tab is uploading this file. If it stops, the upload resumes here.',
    restarted: 'The server no longer has the first part of the file. It is sent again.',
  },
  nextTry: (time: string): string => `Retrying in ${time}.`,
  trying: 'Retrying now.',
  paused: 'Paused',
  inspecting: 'All data received. The server is checking the file.',
  accepted: 'Upload complete',
  rejected: 'Refused',
  failed: 'Failed',
  cancelled: 'Cancelled',
  tooLateToCancel: 'Not cancelled: the server already had the whole file.',
  cancelUnconfirmed: 'The server cannot be reached. It may already have the whole file and accept it.',

  // Earlier visits
  unfinishedTitle: 'Unfinished uploads',
  unfinishedHint: 'To resume, drop or choose the same file again. Only the missing part is sent.',
  unfinishedState: (percent: string, part: string, whole: string): string => `${percent} uploaded (${part} of ${whole})`,
  unfinishedStarted: (whole: string): string => `Just started (${whole})`,
  chooseAgain: 'Choose file',
  discard: 'Discard',
  discarded: 'Discarded',
  wrongFile: (chosen: string, wanted: string): string => `“${chosen}” does not match this upload. Choose the unchanged file “${wanted}”.`,
  completedTitle: 'Previous uploads',
  completedAt: (date: string): string => date,
  clearCompleted: 'Clear list',

  // Announcements for screen readers
  announceAdded: (count: number): string => (count === 1 ? '1 file added.' : `${count} files added.`),
  announceKnown: (name: string): string => `${name} is already being uploaded.`,
  announceAccepted: (name: string): string => `${name}: upload complete.`,
  announceRefused: (name: string, reason: string): string => `${name} was refused. ${reason}`,
  announceRefusals: (count: number): string => `${count} files were refused.`,
  announceFailed: (name: string, reason: string): string => `${name} failed. ${reason}`,
  announcePaused: (name: string): string => `${name} paused.`,
  announceResumed: (name: string): string => `${name} resumed.`,
  announceCancelled: (name: string): string => `${name} cancelled.`,
  announceUndo: 'You can undo this for ten seconds.',
  announceDiscarded: (name: string): string => `${name} discarded.`,
  announceCopied: (count: number): string => (count === 1 ? 'Link copied.' : `${count} links copied.`),
  announceWaiting: 'The connection is interrupted. Uploads resume automatically.',
  announceOnline: 'Uploads have resumed.',
  announceUnfinished: (count: number): string =>
    count === 1 ? '1 unfinished upload from an earlier visit.' : `${count} unfinished uploads from an earlier visit.`,
} as const;

type Words<T> = {
  readonly [K in keyof T]: T[K] extends (...parameters: infer P) => string
    ? (...parameters: P) => string
    : T[K] extends string
      ? string
      : Words<T[K]>;
};

/** All texts that the element shows or announces, by key: a string, or a function that returns one. */
export type UploadStrings = Words<typeof WORDS> & { readonly reasons: ReasonWords };

/**
 * The texts to replace. Texts that are left out stay English.
 *
 * @example
 * ```ts
 * import type { SomeUploadStrings } from 'landfall/element';
 *
 * const german: SomeUploadStrings = { pause: 'Anhalten', speed: (amount) => `${amount} pro Sekunde` };
 * ```
 */
export type SomeUploadStrings = {
  readonly [K in keyof UploadStrings]?: UploadStrings[K] extends string | ((...parameters: never[]) => string)
    ? UploadStrings[K]
    : Partial<UploadStrings[K]>;
};

export const ENGLISH: UploadStrings = { ...WORDS, reasons: {} };

/** The English texts, with the given ones in their place. */
export function wordsWith(replacements: SomeUploadStrings): UploadStrings {
  const merged: Record<string, unknown> = { ...ENGLISH };
  for (const [key, value] of Object.entries(replacements)) {
    const known = merged[key];
    if (value === undefined) continue;
    merged[key] = typeof known === 'object' && typeof value === 'object' ? { ...known, ...value } : value;
  }
  return merged as unknown as UploadStrings;
}
