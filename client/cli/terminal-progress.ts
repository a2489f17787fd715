import type { QueueSnapshot } from '../handle/queue-snapshot.ts';
import type { UploadSnapshot } from '../handle/snapshot.ts';
import { isOver } from '../handle/states.ts';
import { describe, fitted, percent, printable, totalText } from './describe.ts';
import type { Progress } from './progress.ts';

const DRAW_EVERY_MS = 100;
const BAR_COLUMNS = 20;
const DONE_COLUMNS = 32;
/** A terminal narrower than this wraps lines whatever is done. */
const LEAST_COLUMNS = 40;
const CLEAR_TO_END = '\x1b[J';
const dim = (text: string) => `\x1b[2m${text}\x1b[22m`;
const plain = (text: string) => text;

export interface Terminal {
  write(text: string): unknown;
  columns?: number;
  rows?: number;
}

/** A line for each file under way and one for the total, drawn over and over in place. */
export class TerminalProgress implements Progress {
  readonly #terminal: Terminal;
  readonly #quieter: (text: string) => string;
  #latest: QueueSnapshot | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #drawn = 0;

  constructor(terminal: Terminal, options: { color: boolean }) {
    this.#terminal = terminal;
    this.#quieter = options.color ? dim : plain;
  }

  update(snapshot: QueueSnapshot): void {
    this.#latest = snapshot;
    this.#timer ??= setInterval(() => this.#draw(), DRAW_EVERY_MS);
  }

  note(text: string): void {
    this.aside(() => this.#terminal.write(`${this.#quieter(text)}\n`));
  }

  complain(text: string): void {
    this.aside(() => this.#terminal.write(`${text}\n`));
  }

  aside(print: () => void): void {
    this.#terminal.write(this.#erase());
    print();
    if (this.#timer !== undefined) this.#draw();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#terminal.write(this.#erase());
  }

  #draw(): void {
    if (this.#latest === undefined) return;
    // Some pseudo-terminals say 0: they do not know.
    const columns = Math.max((this.#terminal.columns || 80) - 1, LEAST_COLUMNS);
    // What scrolled off the top can't be drawn over.
    const rows = Math.max((this.#terminal.rows || 24) - 2, 1);
    const lines = linesOf(this.#latest, columns, rows, Date.now());
    const text = lines.map((line, index) => (index === lines.length - 1 ? this.#quieter(line) : line)).join('\n');
    this.#terminal.write(`${this.#erase()}${text}\n`);
    this.#drawn = lines.length;
  }

  #erase(): string {
    const up = this.#drawn === 0 ? '' : `\x1b[${this.#drawn}A\r${CLEAR_TO_END}`;
    this.#drawn = 0;
    return up;
  }
}

/** Each so many columns wide at most; the total is the last. */
export function linesOf(snapshot: QueueSnapshot, columns: number, rows: number, now: number): string[] {
  const active = snapshot.uploads.filter(({ state }) => state !== 'queued' && !isOver(state));
  const shown = active.slice(0, Math.max(rows - 1, 1));
  return [...shown.map((upload) => fileLine(upload, columns, now)), fitted(totalText(snapshot), columns).trimEnd()];
}

function fileLine(upload: UploadSnapshot, columns: number, now: number): string {
  // Padded, so that bars stand below each other whatever is said.
  const done = `${percent(upload.sent, upload.size).padStart(5)}  ${describe(upload, now)}`.padEnd(columns >= 80 ? DONE_COLUMNS : 0);
  const room = columns - done.length - 2;
  if (room < BAR_COLUMNS + 16) return fitted(`${fitted(printable(upload.name), Math.max(room, 8))}  ${done}`, columns).trimEnd();
  const name = fitted(printable(upload.name), room - BAR_COLUMNS - 2);
  return `${name}  ${bar(upload.size === null ? 0 : upload.sent / (upload.size || 1))}  ${done}`.trimEnd();
}

function bar(fraction: number): string {
  const full = Math.floor(Math.min(Math.max(fraction, 0), 1) * BAR_COLUMNS);
  return '█'.repeat(full) + '░'.repeat(BAR_COLUMNS - full);
}
