// The uploads of one element: the queue, its rows, and the actions of their buttons.

import type { UploadQueue } from '../handle/queue.ts';
import { EMPTY_QUEUE, type QueueSnapshot } from '../handle/queue-snapshot.ts';
import type { UploadResult } from '../handle/snapshot.ts';
import { isFinal } from '../handle/states.ts';
import { createQueue, type UploadSource } from '../index.ts';
import type { QueueOptions } from '../options.ts';
import { StateAnnouncements } from './announcements.ts';
import { Cancellations } from './cancellations.ts';
import { COPY_RESULT_MS, copyLinks, DownloadLinks } from './download-links.ts';
import { type AddedFile, FileIntake, type FileIntakeHost } from './file-intake.ts';
import { FileRegistry } from './file-registry.ts';
import { UploadList } from './list/list.ts';
import { Overview } from './list/overview.ts';
import { Throttle } from './list/throttle.ts';
import { type Action, reasonOf } from './list/view.ts';
import { visibleName } from './name.ts';

const SHOW_EVERY_MS = 250;

export interface TransfersHost extends FileIntakeHost {
  /** Read at each use, because attributes and properties may change. */
  readonly options: QueueOptions;
  /** Later visits list completed uploads. */
  readonly keepsHistory: boolean;
  onProgress(queue: QueueSnapshot): void;
  onAccepted(result: UploadResult): void;
  onEmptied(): void;
}

export class Transfers {
  readonly intake: FileIntake;
  readonly list: UploadList;
  readonly overview: Overview;
  readonly #host: TransfersHost;
  readonly #announcements = new StateAnnouncements();
  readonly #files = new FileRegistry();
  readonly #throttle = new Throttle(SHOW_EVERY_MS, () => this.show());
  readonly #cancellations = new Cancellations(() => this.#onCancellation());
  readonly #links = new DownloadLinks();
  #queue: UploadQueue<UploadSource> | undefined;
  #stateKey = '';
  #countdown: ReturnType<typeof setInterval> | undefined;
  #isAdding = false;

  constructor(host: TransfersHost) {
    this.#host = host;
    this.list = new UploadList((id, action) => this.#perform(id, action));
    this.intake = new FileIntake({
      host,
      list: this.list,
      show: () => this.show(),
      inBatch: (add) => this.#addBatch(add),
    });
    this.overview = new Overview({
      pauseAll: () => this.pause(),
      resumeAll: () => this.resume(),
      retryAll: () => this.#retryAll(),
      cancelAll: () => this.#cancelAll(),
      undoAll: () => this.#undoAll(),
      copyAll: () => void this.#copyAll(),
      clearEnded: () => this.#clearEnded(),
    });
  }

  get snapshot(): QueueSnapshot {
    return this.#queue?.snapshot ?? EMPTY_QUEUE;
  }

  get isEmpty(): boolean {
    return this.snapshot.uploads.length + this.list.refusedCount + this.list.pendingCount === 0;
  }

  /** Pauses uploads one by one from the end, so that no queued upload starts when a running one pauses. */
  pause(): void {
    for (const { id } of this.snapshot.uploads.toReversed()) this.#queue?.get(id)?.pause();
  }

  resume(): void {
    for (const { id, state } of this.snapshot.uploads)
      if (state === 'paused' && !this.#cancellations.ids.has(id)) this.#queue?.get(id)?.resume();
  }

  async cancel(): Promise<void> {
    for (const id of this.#cancellations.ids) this.#cancellations.cancelNow(id);
    await this.#queue?.cancel({ deleteRemote: true }).catch(() => undefined);
  }

  /** @param everything updates unchanged rows too, after a change of language */
  show(everything = false): void {
    const { snapshot } = this;
    const { language } = this.#host;
    const { ids } = this.#cancellations;
    this.list.show(snapshot, ids, language, everything);
    this.overview.show(this.#cancellations.applyTo(snapshot), this.list.refusedCount, ids.size, language);
    this.#countDown(snapshot);
    this.#host.onProgress(snapshot);
  }

  #addBatch(add: (send: (file: AddedFile) => void) => void): void {
    const { options } = this.#host;
    this.#isAdding = true;
    try {
      add((file) => this.#send(file, options));
    } finally {
      this.#isAdding = false;
    }
    if (this.#queue) this.#onChange(this.#queue.snapshot);
    this.#throttle.now();
  }

  #send({ picked: { file, relativePath, handle }, pendingId }: AddedFile, options: QueueOptions): void {
    const { name, size, lastModified } = file;
    const identity = { endpoint: String(options.endpoint), name, size, lastModified, relativePath };
    const known = this.#files.activeUpload(identity, this.#queue);
    if (known !== undefined) {
      if (pendingId !== undefined) this.list.remove(pendingId);
      // Adding the file again undoes its cancellation.
      if (this.#cancellations.undo(known)) return;
      this.#host.announce(this.#host.language.strings.announceKnown(visibleName(name)));
      return;
    }
    if (this.#queue === undefined) {
      this.#queue = createQueue(options);
      this.#queue.subscribe((snapshot) => this.#onChange(snapshot));
    }
    const upload = this.#queue.add(file, { ...options, ...(relativePath !== undefined && { relativePath }) });
    const { id } = upload.snapshot;
    if (pendingId === undefined) this.list.add(id, { name, relativePath });
    else this.list.rename(pendingId, id);
    this.#files.add(id, identity, handle);
    this.#follow(id);
  }

  #follow(id: string): void {
    const done = this.#queue?.get(id)?.done;
    done?.then(
      (result) => {
        this.#links.save(id, result, this.#host.keepsHistory ? String(this.#host.options.endpoint) : undefined);
        this.#host.onAccepted(result);
      },
      () => {
        const snapshot = this.#queue?.get(id)?.snapshot;
        if (snapshot?.state !== 'rejected') return;
        this.#host.onRefused({ name: snapshot.name, code: snapshot.error.code, reason: reasonOf(snapshot, this.#host.language) });
      },
    );
  }

  #onChange(snapshot: QueueSnapshot): void {
    if (this.#isAdding) return;
    const shown = this.#cancellations.applyTo(snapshot);
    for (const message of this.#announcements.changes(shown, this.#host.language)) this.#host.announce(message);
    for (const { id, state } of snapshot.uploads) if (isFinal(state)) this.#files.ended(id, state);
    const stateKey = snapshot.uploads.map(({ id, state }) => id + state).join();
    if (stateKey === this.#stateKey) this.#throttle.soon();
    else this.#throttle.now();
    this.#stateKey = stateKey;
  }

  #perform(id: string, action: Action): void {
    const upload = this.#queue?.get(id);
    if (action === 'pause') upload?.pause();
    else if (action === 'resume') upload?.resume();
    else if (action === 'retry' || action === 'sendAgain') this.#retry(id);
    else if (action === 'cancel') this.#cancel([id]);
    else if (action === 'undo') this.#cancellations.undo(id);
    else if (action === 'copyLink') void this.#copy(id);
    else if (action === 'remove') this.#remove(id);
  }

  #cancel(ids: readonly string[]): void {
    for (const id of ids) {
      const upload = this.#queue?.get(id);
      if (upload !== undefined) this.#cancellations.schedule(upload);
    }
    this.#host.announce(this.#host.language.strings.announceUndo);
  }

  /** Cancels from the end, so that no queued upload starts when a running one pauses. An upload in inspection cannot be cancelled. */
  #cancelAll(): void {
    const open = this.snapshot.uploads.filter(({ state }) => !isFinal(state) && state !== 'inspecting');
    this.#cancel(open.map(({ id }) => id).reverse());
    this.overview.focus();
  }

  #undoAll(): void {
    for (const id of this.#cancellations.ids) this.#cancellations.undo(id);
    this.overview.focus();
  }

  #onCancellation(): void {
    if (this.#queue) this.#onChange(this.#queue.snapshot);
    this.#throttle.now();
  }

  async #copy(id: string): Promise<void> {
    const result = await copyLinks(this.#links.of([id]), this.#host.language, this.#host.announce);
    this.list.row(id)?.showCopied(result, this.#host.language);
  }

  async #copyAll(): Promise<void> {
    const urls = this.#links.of(this.snapshot.uploads.map(({ id }) => id));
    this.overview.showCopied(await copyLinks(urls, this.#host.language, this.#host.announce));
    setTimeout(() => this.show(), COPY_RESULT_MS);
  }

  #retry(id: string): void {
    const upload = this.#queue?.retry(id);
    if (upload === undefined) return;
    const newId = upload.snapshot.id;
    this.list.rename(id, newId);
    this.#files.rename(id, newId);
    if (newId !== id) this.#follow(newId);
    this.#throttle.now();
  }

  #retryAll(): void {
    for (const { id, state } of this.snapshot.uploads) if (state === 'failed') this.#retry(id);
  }

  #remove(id: string): void {
    const next = this.#removeRow(id);
    this.#throttle.now();
    if (this.isEmpty) this.#host.onEmptied();
    else next?.focus();
  }

  /** @returns the row that should get the focus */
  #removeRow(id: string): ReturnType<UploadList['remove']> {
    this.#queue?.remove(id);
    this.#files.remove(id);
    this.#links.remove(id);
    return this.list.remove(id);
  }

  #clearEnded(): void {
    for (const id of this.#cancellations.ids) this.#cancellations.cancelNow(id);
    const ended = this.snapshot.uploads.filter(({ state }) => isFinal(state)).map(({ id }) => id);
    for (const id of [...ended, ...this.list.refusedIds()]) this.#removeRow(id);
    this.#throttle.now();
    if (this.isEmpty) this.#host.onEmptied();
    else this.overview.focus();
  }

  /** Updates the rows every second while one shows the seconds until its next attempt. */
  #countDown(snapshot: QueueSnapshot): void {
    const counts = snapshot.uploads.some(({ waiting }) => waiting?.until !== undefined);
    if (counts) this.#countdown ??= setInterval(() => this.show(), 1000);
    else {
      clearInterval(this.#countdown);
      this.#countdown = undefined;
    }
  }
}
