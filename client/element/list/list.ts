import type { QueueSnapshot } from '../../handle/queue-snapshot.ts';
import type { UploadSnapshot } from '../../handle/snapshot.ts';
import { h, setAttribute } from '../dom.ts';
import type { Language } from '../language.ts';
import type { Reason } from '../policy.ts';
import { Row } from './row.ts';
import { type Action, pendingView, refusedView, rowView, undoableView } from './view.ts';

interface Entry {
  row: Row;
  /** The one shown last; absent for a file that was refused here. */
  snapshot?: UploadSnapshot;
  isUndoable?: boolean;
  refused?: { file: ListedFile & { size: number }; reason: Reason };
  /** Chosen, and not judged yet: bytes. */
  pending?: number;
}

export interface ListedFile {
  name: string;
  relativePath?: string | undefined;
}

/** The rows, in the order in which files were added. Keys are ids of handles, or of refusals. */
export class UploadList {
  readonly element: HTMLElement;
  readonly #rows = h('ul', { class: 'rows', attributes: { role: 'list' } });
  readonly #entries = new Map<string, Entry>();
  readonly #onAction: (id: string, action: Action) => void;

  constructor(onAction: (id: string, action: Action) => void) {
    this.#onAction = onAction;
    this.element = h('section', { class: 'panel list', part: 'list', attributes: { hidden: true } }, this.#rows);
  }

  get refusedCount(): number {
    return [...this.#entries.values()].filter((entry) => entry.refused !== undefined).length;
  }

  get pendingCount(): number {
    return [...this.#entries.values()].filter((entry) => entry.pending !== undefined).length;
  }

  add(id: string, { name, relativePath }: ListedFile): void {
    const row = new Row({ name, relativePath, onAction: (action) => this.#onAction(this.#idOf(row), action) });
    this.#entries.set(id, { row });
    this.#rows.append(row.element);
    this.element.hidden = false;
  }

  /** Shown at once, while it waits to be judged; then it is renamed, or refused. */
  addPending(id: string, file: ListedFile & { size: number }, language: Language): void {
    this.add(id, file);
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.pending = file.size;
    entry.row.show(pendingView(file.size, language), language);
  }

  /** One that is pending, or is not listed yet. */
  addRefused(id: string, file: ListedFile & { size: number }, reason: Reason, language: Language): void {
    if (!this.#entries.has(id)) this.add(id, file);
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    delete entry.pending;
    entry.refused = { file, reason };
    entry.row.show(refusedView(file, reason, language), language);
  }

  /** The same file under a new handle keeps its row, and the focus on it. */
  rename(id: string, newId: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined || id === newId) return;
    delete entry.pending;
    this.#entries.delete(id);
    this.#entries.set(newId, entry);
  }

  row(id: string): Row | undefined {
    return this.#entries.get(id)?.row;
  }

  /** @returns the row that the focus should go to, where it was on the one that went */
  remove(id: string): Row | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined) return undefined;
    const hadFocus = entry.row.element.matches(':focus-within');
    const neighbour = entry.row.element.nextElementSibling ?? entry.row.element.previousElementSibling;
    entry.row.element.remove();
    this.#entries.delete(id);
    this.element.hidden = this.#entries.size === 0;
    return hadFocus ? [...this.#entries.values()].find(({ row }) => row.element === neighbour)?.row : undefined;
  }

  /** Ids of the files that were refused here. */
  refusedIds(): string[] {
    return [...this.#entries].filter(([, entry]) => entry.refused !== undefined).map(([id]) => id);
  }

  /**
   * @param undoable ids of uploads whose cancelling can still be undone
   * @param everything also what did not change: the language did, or time passed
   */
  show(queue: QueueSnapshot, undoable: ReadonlySet<string>, language: Language, everything = false): void {
    setAttribute(this.element, 'aria-label', language.strings.list);
    const now = Date.now();
    for (const snapshot of queue.uploads) {
      const entry = this.#entries.get(snapshot.id);
      const isUndoable = undoable.has(snapshot.id);
      const isSame = entry?.snapshot === snapshot && entry.isUndoable === isUndoable && snapshot.waiting?.until === undefined;
      if (entry === undefined || (isSame && !everything)) continue;
      entry.snapshot = snapshot;
      entry.isUndoable = isUndoable;
      entry.row.show(isUndoable ? undoableView(snapshot, language, now) : rowView(snapshot, language, now), language);
    }
    if (!everything) return;
    for (const { row, refused, pending } of this.#entries.values()) {
      if (refused) row.show(refusedView(refused.file, refused.reason, language), language);
      else if (pending !== undefined) row.show(pendingView(pending, language), language);
    }
  }

  #idOf(row: Row): string {
    for (const [id, entry] of this.#entries) if (entry.row === row) return id;
    return '';
  }
}
