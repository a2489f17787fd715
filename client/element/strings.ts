// Every word the element shows or speaks. An embedding page replaces any of them: `element.strings = { pause: 'Anhalten' }`.

import type { ErrorCode } from '../../shared/errors.ts';

/**
 * What is known of a refusal or a failure, written for people in the element's language.
 *
 * @example
 * ```ts
 * import type { ReasonParts } from 'landfall/element';
 *
 * const tooLarge = ({ name, size, limit }: ReasonParts) => `${name} hat ${size}, erlaubt sind ${limit}.`;
 * ```
 */
export interface ReasonParts {
  /** Of the file. */
  readonly name: string;
  /** With its dot; empty where the name has none. */
  readonly extension: string;
  /** Of the file, `1.2 GiB`. */
  readonly size: string;
  /** The most the server takes, `10 GiB`; empty where it has no limit or did not tell. */
  readonly limit: string;
  /** The kinds of files the server takes; empty where it did not tell. */
  readonly allowed: string;
  /** What the code means, in English. */
  readonly title: string;
  /** What is special about this file, in the words of the server or the client; often empty. */
  readonly detail: string;
}

/** For each code the words of a refusal or a failure. A code that is left out is told in English: title and detail. */
export type ReasonWords = { readonly [Code in ErrorCode]?: (parts: ReasonParts) => string };

const WORDS = {
  // The drop zone
  dropHere: 'Drop files or folders here',
  dropMore: 'Drop more here',
  /** Where there is no mouse to drop with. */
  choose: 'Choose files to upload',
  dropNow: 'Drop to upload',
  chooseFiles: 'Choose files',
  chooseFolder: 'Choose a folder',
  addFiles: 'Add files',
  addFolder: 'Folder',
  label: 'Upload files',
  limit: (size: string): string => `Up to ${size} each.`,
  allowed: (kinds: string): string => `Accepted: ${kinds}.`,
  /** Kinds of files, by their name in the server's policy; a name that is not here is shown as it is. */
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

  // The whole
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
  remove: 'Remove from the list',
  download: 'Download',
  copyLink: 'Copy link',
  copied: 'Copied',
  copyFailed: 'Not allowed to copy',
  /** What a button is called for someone who hears it without seeing its row. */
  buttonFor: (action: string, name: string): string => `${action}: ${name}`,
  sentOf: (part: string, whole: string): string => `${part} of ${whole}`,
  timeLeft: (time: string): string => `${time} left`,
  queued: 'Waiting for its turn',
  preparing: 'Preparing',
  uploading: 'Uploading',
  /** Every byte has left this device, and the server does not have them all yet. */
  arriving: 'Sent, waiting for the server',
  waiting: {
    offline: 'Waiting for the network',
    unreachable: 'Waiting for the network',
    interrupted: 'Waiting for the network',
    stalled: 'Waiting for the network',
    busy: 'Waiting for the server',
    'no-space': 'Waiting for the server',
    'too-many': 'Waiting for other uploads',
    elsewhere: 'Waiting for another tab',
    restarted: 'Starting again',
  },
  waitingReason: {
    offline: 'You are offline. The upload goes on by itself once you are connected.',
    unreachable: 'The server cannot be reached. Nothing is lost.',
    interrupted: 'The connection was interrupted. Nothing is lost.',
    stalled: 'The connection stopped moving. Nothing is lost.',
    busy: 'The server asked to come back later.',
    'no-space': 'The server has no room for this file right now.',
    'too-many': 'You have as many uploads under way as you may. This one goes on when another has ended.',
    elsewhere: 'Another tab is uploading this file. Should that one stop, the upload goes on here.',
    restarted: 'The server no longer has the first part. It is sent again.',
  },
  nextTry: (time: string): string => `Next try in ${time}.`,
  trying: 'Trying again.',
  paused: 'Paused',
  inspecting: 'All bytes are there. The server is checking the file.',
  accepted: 'Upload complete',
  rejected: 'Refused',
  failed: 'Failed',
  cancelled: 'Cancelled',

  // Earlier visits
  interruptedTitle: 'Unfinished from an earlier visit',
  interruptedHint: 'Drop the file again, or choose it. What the server already has is not sent twice.',
  interruptedState: (percent: string, part: string, whole: string): string => `${percent} is on the server (${part} of ${whole})`,
  interruptedBegun: (whole: string): string => `Just begun (${whole})`,
  chooseAgain: 'Choose the file',
  discard: 'Discard',
  discarded: 'Discarded',
  otherFile: (chosen: string, wanted: string): string => `“${chosen}” is not the file that was interrupted. Choose “${wanted}”, as it was.`,
  arrivedTitle: 'Uploaded from this browser before',
  arrivedAt: (date: string): string => date,
  clearArrived: 'Clear the list',

  // What is spoken
  spokenAdded: (count: number): string => (count === 1 ? '1 file added.' : `${count} files added.`),
  spokenKnown: (name: string): string => `${name} is being uploaded already.`,
  spokenAccepted: (name: string): string => `${name}: upload complete.`,
  spokenRefused: (name: string, reason: string): string => `${name} was refused. ${reason}`,
  spokenRefusals: (count: number): string => `${count} files were refused.`,
  spokenFailed: (name: string, reason: string): string => `${name} failed. ${reason}`,
  spokenPaused: (name: string): string => `${name} paused.`,
  spokenResumed: (name: string): string => `${name} resumed.`,
  spokenCancelled: (name: string): string => `${name} cancelled.`,
  spokenUndo: 'It can be undone for ten seconds.',
  spokenDiscarded: (name: string): string => `${name} discarded.`,
  spokenCopied: (count: number): string => (count === 1 ? 'Link copied.' : `${count} links copied.`),
  spokenWaiting: 'The connection is interrupted. Uploads wait and go on by themselves.',
  spokenOnline: 'The connection is back.',
  spokenInterrupted: (count: number): string =>
    count === 1 ? '1 unfinished upload from an earlier visit.' : `${count} unfinished uploads from an earlier visit.`,
} as const;

type Words<T> = {
  readonly [K in keyof T]: T[K] extends (...parameters: infer P) => string
    ? (...parameters: P) => string
    : T[K] extends string
      ? string
      : Words<T[K]>;
};

/** Every word that the element shows or speaks, by its key: text, or a function that makes it of what it is given. */
export type UploadStrings = Words<typeof WORDS> & { readonly reasons: ReasonWords };

/**
 * The words to replace. Those that are left out stay English.
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

/** English, where nothing else was given. */
export function wordsWith(given: SomeUploadStrings): UploadStrings {
  const merged: Record<string, unknown> = { ...ENGLISH };
  for (const [key, value] of Object.entries(given)) {
    const known = merged[key];
    if (value === undefined) continue;
    merged[key] = typeof known === 'object' && typeof value === 'object' ? { ...known, ...value } : value;
  }
  return merged as unknown as UploadStrings;
}
