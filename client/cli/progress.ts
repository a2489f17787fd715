import type { QueueSnapshot } from '../handle/queue.ts';

/** How progress is shown, where it is. */
export interface Progress {
  update(snapshot: QueueSnapshot): void;
  /** A line that stays, beside whatever is drawn: good to know. */
  note(text: string): void;
  /** The same for what went wrong. */
  complain(text: string): void;
  /** For what is written to the same terminal by others: nothing is drawn while `print` runs. */
  aside(print: () => void): void;
  stop(): void;
}

/** No figures. */
export function noProgress(write: (text: string) => unknown, options: { notes: boolean }): Progress {
  const line = (text: string) => void write(`${text}\n`);
  return { update: () => {}, note: options.notes ? line : () => {}, complain: line, aside: (print) => print(), stop: () => {} };
}
