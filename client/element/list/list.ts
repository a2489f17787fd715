import type { QueueSnapshot } from '../../handle/queue-snapshot.ts';
import type { UploadSnapshot } from '../../handle/snapshot.ts';
import type { CancellationPhase } from '../cancellations.ts';
import { h, setAttribute } from '../dom.ts';
import type { Language } from '../language.ts';
import type { Reason } from '../policy.ts';
import { Row } from './row.ts';
import { type Action, cancellationView, pendingView, refusedView, rowView } from './view.ts';

interface Entry {
  row: Row;
  /** The snapshot shown last; absent for a file that the policy refused. */
  snapshot?: UploadSnapshot;
  phase?: CancellationPhase | undefined;
  refused?: { file: ListedFile & { size: number }; reason: Reason };
  /** Size in bytes of a file that waits for the policy. */
  pending?: number;
}

export interface ListedFile {
  name: string;
  relativePath?: string | undefined;
}

/** The rows, in the order in which files were added. Ids are those of handles, or of files without a handle. */
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

  /** Shows a file that waits for the policy. `rename` or `addRefused` follows. */
  addPending(id: string, file: ListedFile & { size: number }, language: Language): void {
    this.add(id, file);
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.pending = file.size;
    entry.row.show(pendingView(file.size, language), language);
  }

  /** Shows a refused file, which may be listed as pending. */
  addRefused(id: string, file: ListedFile & { size: number }, reason: Reason, language: Language): void {
    if (!this.#entries.has(id)) this.add(id, file);
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    delete entry.pending;
    entry.refused = { file, reason };
    entry.row.show(refusedView(file, reason, language), language);
  }

  /** Gives a row the id of a new handle for the same file. Keeps the row and its focus. */
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

  /** @returns the row that should get the focus, if the removed row had it */
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

  /** Ids of the files that the policy refused. */
  refusedIds(): string[] {
    return [...this.#entries].filter(([, entry]) => entry.refused !== undefined).map(([id]) => id);
  }

  /**
   * @param phases of cancelled uploads, by id
   * @param everything updates unchanged rows too, after a change of language
   */
  show(queue: QueueSnapshot, phases: ReadonlyMap<string, CancellationPhase>, language: Language, everything = false): void {
    setAttribute(this.element, 'aria-label', language.strings.list);
    const now = Date.now();
    for (const snapshot of queue.uploads) {
      const entry = this.#entries.get(snapshot.id);
      const phase = phases.get(snapshot.id);
      const isSame = entry?.snapshot === snapshot && entry.phase === phase && snapshot.waiting?.until === undefined;
      if (entry === undefined || (isSame && !everything)) continue;
      entry.snapshot = snapshot;
      entry.phase = phase;
      entry.row.show(phase ? cancellationView(snapshot, phase, language, now) : rowView(snapshot, language, now), language);
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
