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
import type { FileIdentity } from './unfinished/file-handles.ts';

const SHOW_EVERY_MS = 250;

export interface TransfersHost extends FileIntakeHost {
  /** Read at each use, because attributes and properties may change. */
  readonly options: QueueOptions;
  /** Later visits list completed uploads. */
  readonly keepsHistory: boolean;
  onProgress(queue: QueueSnapshot): void;
  onAccepted(result: UploadResult): void;
  /** The server accepted a cancelled file whose row the user has removed. */
  onAcceptedUnlisted(result: UploadResult, endpoint: string): void;
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
  readonly #cancellations: Cancellations;
  readonly #links = new DownloadLinks();
  #queue: UploadQueue<UploadSource> | undefined;
  #stateKey = '';
  #countdown: ReturnType<typeof setInterval> | undefined;
  #isAdding = false;
  #comparing: Promise<void> = Promise.resolve();

  constructor(host: TransfersHost) {
    this.#host = host;
    this.list = new UploadList((id, action) => this.#perform(id, action));
    this.intake = new FileIntake({
      host,
      list: this.list,
      show: () => this.show(),
      inBatch: (add) => this.#addBatch(add),
    });
    this.#cancellations = new Cancellations({
      get options() {
        return host.options;
      },
      onChange: () => this.#onCancellation(),
      onAccepted: (id, result) => this.#onAccepted(id, result),
      onRejected: (id) => this.#onRejected(id),
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

  /** The uploads as the user sees them: a cancelled upload that can be undone is cancelled. */
  get snapshot(): QueueSnapshot {
    return this.#queue === undefined ? EMPTY_QUEUE : this.#cancellations.applyTo(this.#queue.snapshot);
  }

  get isEmpty(): boolean {
    return this.snapshot.uploads.length + this.list.refusedCount + this.list.pendingCount === 0;
  }

  /** Pauses uploads one by one from the end, so that no queued upload starts when a running one pauses. */
  pause(): void {
    for (const { id } of this.snapshot.uploads.toReversed()) this.#queue?.get(id)?.pause();
  }

  resume(): void {
    for (const { id, state } of this.snapshot.uploads) if (state === 'paused') this.#queue?.get(id)?.resume();
  }

  /** Cancels from the end, so that no queued upload starts when a running one is cancelled. */
  async cancel(): Promise<void> {
    const uploads = this.snapshot.uploads.toReversed().map(({ id }) => this.#queue?.get(id));
    await Promise.all(uploads.map((upload) => upload && this.#cancellations.cancelNow(upload)));
  }

  /** @param everything updates unchanged rows too, after a change of language */
  show(everything = false): void {
    const { snapshot } = this;
    const { language } = this.#host;
    const { phases, undoable } = this.#cancellations;
    this.list.show(snapshot, phases, language, everything);
    this.overview.show(snapshot, this.list.refusedCount, undoable.length, language);
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

  #send(added: AddedFile, options: QueueOptions): void {
    const { file, relativePath } = added.picked;
    const { name, size, lastModified } = file;
    const identity = { endpoint: String(options.endpoint), name, size, lastModified, relativePath };
    if (this.#activeUploads(identity).length === 0) this.#start(added, identity, options);
    // One after the other, so that each is compared with those before it.
    else this.#comparing = this.#comparing.then(() => this.#sendUnlessKnown(added, identity, options));
  }

  /** Sends a file with the name, size and date of files that are being uploaded, if its content differs from theirs. */
  async #sendUnlessKnown(added: AddedFile, identity: FileIdentity, options: QueueOptions): Promise<void> {
    const { picked, pendingId } = added;
    const id = await this.#files.withContentOf(picked.file, this.#activeUploads(identity));
    if (id === undefined || !this.#isActive(id)) {
      // The file handle and the resume record with this name, size and date are those of the first file.
      const { handle: _, ...withoutHandle } = picked;
      this.#start({ ...added, picked: withoutHandle }, identity, { ...options, resume: false });
      this.#throttle.now();
      return;
    }
    if (pendingId !== undefined) this.list.remove(pendingId);
    // Adding the file again undoes its cancellation.
    if (this.#cancellations.undo(id)) return;
    const note = this.#host.language.strings.announceKnown(visibleName(picked.file.name));
    this.list.row(id)?.showNote(note);
    this.#host.announce(note);
    this.#throttle.now();
  }

  /** Uploads of files with this identity that may still be accepted. The cancellation of one may be undone. */
  #activeUploads(identity: FileIdentity): string[] {
    return this.#files.uploadsOf(identity).filter((id) => this.#isActive(id));
  }

  #isActive(id: string): boolean {
    const upload = this.#queue?.get(id);
    return upload !== undefined && (!isFinal(upload.snapshot.state) || this.#cancellations.isInspecting(id));
  }

  #start({ picked: { file, relativePath, handle, metadata }, pendingId }: AddedFile, identity: FileIdentity, options: QueueOptions): void {
    if (this.#queue === undefined) {
      this.#queue = createQueue(this.#host.options);
      this.#queue.subscribe((snapshot) => this.#onChange(snapshot));
    }
    const upload = this.#queue.add(file, {
      ...options,
      ...(relativePath !== undefined && { relativePath }),
      ...(metadata && { metadata }),
    });
    const { id } = upload.snapshot;
    if (pendingId === undefined) this.list.add(id, { name: file.name, relativePath });
    else this.list.rename(pendingId, id);
    this.#files.add(id, identity, file, handle);
    this.#follow(id);
  }

  #follow(id: string): void {
    this.#queue?.get(id)?.done.then(
      (result) => this.#onAccepted(id, result),
      () => this.#onRejected(id),
    );
  }

  #onAccepted(id: string, result: UploadResult): void {
    // The element may have another endpoint by now than the one that the file was sent to.
    const endpoint = this.#files.endpointOf(id);
    if (this.list.row(id) !== undefined) this.#links.save(id, result, this.#host.keepsHistory ? endpoint : undefined);
    else {
      this.#files.remove(id);
      this.#host.onAcceptedUnlisted(result, endpoint);
    }
    this.#host.onAccepted(result);
  }

  #onRejected(id: string): void {
    const snapshot = this.snapshot.uploads.find((upload) => upload.id === id);
    if (snapshot?.state !== 'rejected') return;
    this.#host.onRefused({ name: snapshot.name, code: snapshot.error.code, reason: reasonOf(snapshot, this.#host.language) });
  }

  #onChange(snapshot: QueueSnapshot): void {
    if (this.#isAdding) return;
    for (const message of this.#announcements.changes(this.snapshot, this.#host.language)) this.#host.announce(message);
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
    for (const id of this.#cancellations.undoable) this.#cancellations.undo(id);
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
    // The endpoint is needed when the server accepts it nevertheless.
    if (!this.#cancellations.phases.has(id)) this.#files.remove(id);
    this.#links.remove(id);
    return this.list.remove(id);
  }

  #clearEnded(): void {
    for (const id of this.#cancellations.undoable) {
      const upload = this.#queue?.get(id);
      if (upload !== undefined) void this.#cancellations.cancelNow(upload);
    }
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
