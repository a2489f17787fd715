// Every word the element shows or speaks. An embedding page replaces any of them: `element.strings = { pause: 'Anhalten' }`.

export const ENGLISH = {
  // The drop zone
  dropHere: 'Drop files or folders here',
  dropMore: 'Drop more here',
  /** Where there is no mouse to drop with. */
  choose: 'Choose what to send',
  dropNow: 'Let go to send',
  chooseFiles: 'Choose files',
  chooseFolder: 'Choose a folder',
  addFiles: 'Add files',
  addFolder: 'Folder',
  label: 'Upload files',
  limit: (size: string): string => `Up to ${size} each.`,
  allowed: (kinds: string): string => `Accepted: ${kinds}.`,

  // The whole
  overall: 'All uploads',
  list: 'Files',
  filesOf: (done: string, all: string): string => `${done} of ${all} files`,
  oneFile: '1 file',
  allAccepted: (count: number): string => (count === 1 ? 'Your file has arrived' : `All ${count} files have arrived`),
  allEnded: (accepted: number, others: number): string => `${accepted} arrived, ${others} did not`,
  allPaused: 'paused',
  allWaiting: 'waiting for the connection',
  noneAccepted: 'Nothing has arrived',
  pauseAll: 'Pause all',
  resumeAll: 'Go on with all',
  retryAll: 'Try all again',
  cancelAll: 'Cancel all',
  clearEnded: 'Clear finished',

  // One upload
  pause: 'Pause',
  resume: 'Go on',
  cancel: 'Cancel',
  retry: 'Try again',
  retryNow: 'Try now',
  sendAgain: 'Send again',
  remove: 'Remove from the list',
  download: 'Download',
  /** What a button is called for someone who hears it without seeing its row. */
  buttonFor: (action: string, name: string): string => `${action}: ${name}`,
  sentOf: (part: string, whole: string): string => `${part} of ${whole}`,
  timeLeft: (time: string): string => `${time} left`,
  resumedFrom: (size: string): string => `Went on from ${size}`,
  queued: 'Waiting for its turn',
  preparing: 'Preparing',
  uploading: 'Uploading',
  waiting: 'Waiting',
  waitingReason: {
    offline: 'You are offline. It goes on by itself once you are connected.',
    unreachable: 'The server cannot be reached. Nothing is lost.',
    interrupted: 'The connection was interrupted. Nothing is lost.',
    stalled: 'The connection stopped moving. Nothing is lost.',
    busy: 'The server asked to come back later.',
    'no-space': 'The server has no room for this file right now.',
    elsewhere: 'This file is being sent from another tab. It goes on here should that one stop.',
    restarted: 'The server no longer has the first part. It is sent again.',
  },
  nextTry: (time: string): string => `Next try in ${time}.`,
  trying: 'Trying again.',
  paused: 'Paused',
  inspecting: 'All bytes are there. The server is looking at the file.',
  accepted: 'Accepted',
  rejected: 'Refused',
  failed: 'Stopped',
  cancelled: 'Cancelled',
  discardQuestion: (size: string): string => `Give up the ${size} already sent?`,
  discard: 'Yes, cancel it',
  keep: 'Keep it',

  // Earlier visits
  interruptedTitle: 'Unfinished from an earlier visit',
  interruptedHint: 'Drop the file again, or choose it. What the server already has is not sent twice.',
  interruptedState: (percent: string, part: string, whole: string): string => `${percent} is on the server (${part} of ${whole})`,
  interruptedBegun: (whole: string): string => `Just begun (${whole})`,
  goOn: 'Go on',
  chooseAgain: 'Choose the file',
  forget: 'Give up',
  otherFile: (chosen: string, wanted: string): string => `“${chosen}” is not the file that was interrupted. Choose “${wanted}”, as it was.`,

  // What is spoken
  spokenAdded: (count: number): string => (count === 1 ? '1 file added.' : `${count} files added.`),
  spokenKnown: (name: string): string => `${name} is already on its way.`,
  spokenAccepted: (name: string): string => `${name} has arrived.`,
  spokenRefused: (name: string, reason: string): string => `${name} was refused. ${reason}`,
  spokenRefusals: (count: number): string => `${count} files were refused.`,
  spokenFailed: (name: string, reason: string): string => `${name} stopped. ${reason}`,
  spokenPaused: (name: string): string => `${name} paused.`,
  spokenResumed: (name: string): string => `${name} goes on.`,
  spokenCancelled: (name: string): string => `${name} cancelled.`,
  spokenWaiting: 'The connection is interrupted. Uploads wait and go on by themselves.',
  spokenOnline: 'The connection is back.',
  spokenInterrupted: (count: number): string =>
    count === 1 ? '1 unfinished upload from an earlier visit.' : `${count} unfinished uploads from an earlier visit.`,
} as const;

type Words<T> = {
  [K in keyof T]: T[K] extends (...parameters: infer P) => string
    ? (...parameters: P) => string
    : T[K] extends string
      ? string
      : Words<T[K]>;
};

export type UploadStrings = Words<typeof ENGLISH>;
