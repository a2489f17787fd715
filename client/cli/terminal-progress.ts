import type { QueueSnapshot } from '../handle/queue-snapshot.ts';
import type { UploadSnapshot } from '../handle/snapshot.ts';
import { isFinal } from '../handle/states.ts';
import { describe, fitColumns, percent, printable, totalText } from './describe.ts';
import type { Progress } from './progress.ts';

const DRAW_EVERY_MS = 100;
const BAR_COLUMNS = 20;
const DONE_COLUMNS = 32;
/** Lines are not shortened further for a narrower terminal, which wraps them. */
const LEAST_COLUMNS = 40;
const CLEAR_TO_END = '\x1b[J';
const dim = (text: string) => `\x1b[2m${text}\x1b[22m`;
const plain = (text: string) => text;

export interface Terminal {
  write(text: string): unknown;
  columns?: number;
  rows?: number;
}

/** Draws a line for each active file and one for the totals, again and again in place. */
export class TerminalProgress implements Progress {
  readonly #terminal: Terminal;
  readonly #dim: (text: string) => string;
  #latest: QueueSnapshot | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #drawn = 0;

  constructor(terminal: Terminal, options: { color: boolean }) {
    this.#terminal = terminal;
    this.#dim = options.color ? dim : plain;
  }

  update(snapshot: QueueSnapshot): void {
    this.#latest = snapshot;
    this.#timer ??= setInterval(() => this.#draw(), DRAW_EVERY_MS);
  }

  info(text: string): void {
    this.printAround(() => this.#terminal.write(`${this.#dim(text)}\n`));
  }

  error(text: string): void {
    this.printAround(() => this.#terminal.write(`${text}\n`));
  }

  printAround(print: () => void): void {
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
    // Some pseudo-terminals report 0 when they do not know their size.
    const columns = Math.max((this.#terminal.columns || 80) - 1, LEAST_COLUMNS);
    // Lines that scrolled off the top cannot be drawn over.
    const rows = Math.max((this.#terminal.rows || 24) - 2, 1);
    const lines = linesOf(this.#latest, columns, rows, Date.now());
    const text = lines.map((line, index) => (index === lines.length - 1 ? this.#dim(line) : line)).join('\n');
    this.#terminal.write(`${this.#erase()}${text}\n`);
    this.#drawn = lines.length;
  }

  #erase(): string {
    const up = this.#drawn === 0 ? '' : `\x1b[${this.#drawn}A\r${CLEAR_TO_END}`;
    this.#drawn = 0;
    return up;
  }
}

/** Lines of at most `columns`; the last has the totals. */
export function linesOf(snapshot: QueueSnapshot, columns: number, rows: number, now: number): string[] {
  const active = snapshot.uploads.filter(({ state }) => state !== 'queued' && !isFinal(state));
  const shown = active.slice(0, Math.max(rows - 1, 1));
  return [...shown.map((upload) => fileLine(upload, columns, now)), fitColumns(totalText(snapshot), columns).trimEnd()];
}

function fileLine(upload: UploadSnapshot, columns: number, now: number): string {
  // Padded, so that the bars are aligned.
  const done = `${percent(upload.sent, upload.size).padStart(5)}  ${describe(upload, now)}`.padEnd(columns >= 80 ? DONE_COLUMNS : 0);
  const columnsLeft = columns - done.length - 2;
  if (columnsLeft < BAR_COLUMNS + 16)
    return fitColumns(`${fitColumns(printable(upload.name), Math.max(columnsLeft, 8))}  ${done}`, columns).trimEnd();
  const name = fitColumns(printable(upload.name), columnsLeft - BAR_COLUMNS - 2);
  return `${name}  ${bar(upload.size === null ? 0 : upload.sent / (upload.size || 1))}  ${done}`.trimEnd();
}

function bar(fraction: number): string {
  const full = Math.floor(Math.min(Math.max(fraction, 0), 1) * BAR_COLUMNS);
  return '█'.repeat(full) + '░'.repeat(BAR_COLUMNS - full);
}
