// Lists the unfinished uploads of earlier visits and resumes them: automatically when the browser still allows opening the file,
// otherwise when the user adds the file again.
import type { UploadError } from '../../../shared/errors.ts';
import type { UploadRecord } from '../../../shared/upload.ts';
import { heldLocks, openHandle } from '../../browser/optional-apis.ts';
import type { UploadResult } from '../../handle/snapshot.ts';
import { forget, interrupted } from '../../index.ts';
import type { QueueOptions } from '../../options.ts';
import type { ResumeRecord } from '../../resume/store.ts';
import { resultOf } from '../../transfer/acceptance.ts';
import { rejectionOf } from '../../transfer/status.ts';
import { UNDO_WITHIN_MS } from '../cancellations.ts';
import type { PickedFile } from '../drop.ts';
import type { Language } from '../language.ts';
import { visibleName } from '../name.ts';
import { recordsOf } from '../verdict.ts';
import { findHandle, isSameFile, removeHandle } from './file-handles.ts';
import { UnfinishedList, type UnfinishedUpload } from './unfinished-list.ts';

export interface UnfinishedUploadsHost {
  readonly options: QueueOptions;
  readonly language: Language;
  announce(message: string): void;
  /** The server refused the file after the page was closed. */
  onRejected(record: ResumeRecord, error: UploadError): void;
  send(files: readonly PickedFile[]): void;
  onChange(): void;
  /** The server accepted the file after the page was closed. */
  onAccepted(result: UploadResult, endpoint: string): void;
  /** The last upload was removed while it had the focus. */
  onEmptied(): void;
}

export class UnfinishedUploads {
  readonly #host: UnfinishedUploadsHost;
  readonly #view: UnfinishedList;
  #uploads: UnfinishedUpload[] = [];
  #loadedFor = '';

  constructor(host: UnfinishedUploadsHost) {
    this.#host = host;
    this.#view = new UnfinishedList({
      onFile: (upload, file) => this.#resume(upload, file),
      onResume: (upload) => void this.#openAndResume(upload),
      onDiscard: (upload) => this.#discard(upload),
      onUndo: (upload) => this.#undo(upload),
    });
  }

  get element(): HTMLElement {
    return this.#view.element;
  }

  get isEmpty(): boolean {
    return this.#uploads.length === 0;
  }

  show(): void {
    // Hiding a focused button would lose the focus.
    const isFocusLost = this.#view.show(this.#uploads, this.#host.language);
    if (isFocusLost) this.#host.onEmptied();
  }

  /**
   * Loads the records once for each endpoint, because uploads that start later in this visit are listed elsewhere. Then asks the server
   * what became of them, and corrects the list.
   */
  async load(signal: AbortSignal): Promise<void> {
    const endpoint = String(this.#host.options.endpoint);
    if (this.#loadedFor !== endpoint) await this.#loadRecords(endpoint, signal);
    await this.#askServer(signal);
  }

  async #loadRecords(endpoint: string, signal: AbortSignal): Promise<void> {
    const { options } = this.#host;
    this.#loadedFor = endpoint;
    // If the element is disconnected while this loads, the next connection loads again.
    const loadAgain = () => {
      this.#loadedFor = '';
    };
    signal.addEventListener('abort', loadAgain);
    const all = (await interrupted(options.store).catch(() => [])).filter((record) => record.endpoint === endpoint);
    const inUse = await keysInUse(all);
    const records = all.filter(({ key }) => !inUse.has(key));
    const uploads: UnfinishedUpload[] = await Promise.all(records.map(async (record) => ({ record, handle: await findHandle(record) })));
    const files: PickedFile[] = [];
    const listed: UnfinishedUpload[] = [];
    for (const upload of uploads) {
      const file = upload.handle && (await openHandle(upload.handle, false));
      if (file && isSameFile(upload.record, file)) files.push(continued(upload, file));
      else listed.push(upload);
    }
    if (signal.aborted) return;
    signal.removeEventListener('abort', loadAgain);
    this.#uploads.push(...listed);
    if (files.length > 0) this.#host.send(files);
    this.#changed();
    const { length } = this.#uploads;
    if (length > 0) this.#host.announce(this.#host.language.strings.announceUnfinished(length));
  }

  /** Removes the files from the list if they are on it, and returns them with the path that their upload had. */
  claim(files: readonly PickedFile[]): PickedFile[] {
    const claimed = files.map((picked) => {
      const index = this.#uploads.findIndex(
        ({ record }) =>
          isSameFile(record, picked.file) && (picked.relativePath === undefined || picked.relativePath === record.relativePath),
      );
      const [upload] = index < 0 ? [] : this.#uploads.splice(index, 1);
      clearTimeout(upload?.discarding);
      return upload ? { ...pickedAs(upload, picked.file), ...(picked.handle && { handle: picked.handle }) } : picked;
    });
    this.#changed();
    return claimed;
  }

  /** Asks one by one, so that a long list does not keep the uploads of this visit waiting. */
  async #askServer(signal: AbortSignal): Promise<void> {
    for (const { record } of [...this.#uploads])
      if (record.url !== null && this.#find(record)) await this.#correctBy(record, recordsOf(record.url, this.#host.options, signal));
  }

  /** Resolves after the first answer. An inspection may take minutes. */
  async #correctBy(record: ResumeRecord, answers: AsyncGenerator<UploadRecord, void, void>): Promise<void> {
    // It throws only after the element was disconnected.
    const { value } = await answers.next().catch(() => ({ value: undefined }));
    if (value) this.#correct(record, value);
    if (value?.state === 'inspecting') void this.#correctBy(record, answers);
  }

  /** Corrects a row by the server's record. The server may have received every byte before the page was closed. */
  #correct(record: ResumeRecord, answer: UploadRecord): void {
    const upload = this.#find(record);
    if (upload === undefined) return;
    const { state } = answer;
    if (state === 'receiving')
      this.#change(upload, { ...upload, record: { ...upload.record, confirmed: answer.offset }, isInspecting: false });
    else if (state === 'inspecting') this.#change(upload, { ...upload, isInspecting: true });
    else if (state === 'accepted' || state === 'rejected') {
      clearTimeout(upload.discarding);
      this.#change(upload);
      void removeHandle(record);
      // If the store fails, the next visit asks the server again.
      void forget(record, this.#host.options).catch(() => undefined);
      if (state === 'accepted') this.#report(record, answer);
      else this.#host.onRejected(record, rejectionOf(answer));
    }
  }

  #resume(upload: UnfinishedUpload, file: File): void {
    this.#removeFromList(upload);
    this.#host.send([continued(upload, file)]);
  }

  async #openAndResume(upload: UnfinishedUpload): Promise<void> {
    const file = upload.handle && (await openHandle(upload.handle, true));
    if (file && isSameFile(upload.record, file)) {
      this.#resume(upload, file);
      return;
    }
    // The file was moved or changed, or the user denied access: the user must choose it again.
    const { handle: _, ...withoutHandle } = upload;
    this.#change(upload, withoutHandle);
  }

  /** Discards the upload after ten seconds. If the page is closed within that time, nothing is discarded. */
  #discard(upload: UnfinishedUpload): void {
    const { strings } = this.#host.language;
    const { record } = upload;
    this.#change(upload, { ...upload, discarding: setTimeout(() => void this.#discardNow(record), UNDO_WITHIN_MS) });
    this.#host.announce(`${strings.announceDiscarded(visibleName(record.name))} ${strings.announceUndo}`);
  }

  #undo({ discarding, ...upload }: UnfinishedUpload): void {
    clearTimeout(discarding);
    this.#change(upload, upload);
  }

  async #discardNow(record: ResumeRecord): Promise<void> {
    const upload = this.#find(record);
    if (upload === undefined) return;
    this.#change(upload);
    void removeHandle(record);
    try {
      await forget(record, { ...this.#host.options, deleteRemote: true });
    } catch {
      await this.#followDiscarded(record);
    }
  }

  /** The server did not delete the upload: it may have had every byte. Otherwise the upload expires there. */
  async #followDiscarded(record: ResumeRecord): Promise<void> {
    if (record.url === null) return;
    for await (const answer of recordsOf(record.url, this.#host.options)) if (answer.state === 'accepted') this.#report(record, answer);
  }

  #report(record: ResumeRecord, answer: UploadRecord): void {
    const { url, name, size, endpoint } = record;
    if (url !== null) this.#host.onAccepted(resultOf(answer, { url, name, size, checksum: null, resumed: true }), endpoint);
  }

  #removeFromList(upload: UnfinishedUpload): void {
    this.#change(upload);
    if (!this.#view.focus()) this.#host.onEmptied();
  }

  #find({ key }: ResumeRecord): UnfinishedUpload | undefined {
    return this.#uploads.find(({ record }) => record.key === key);
  }

  /** Replaces an upload in the list, or removes it. */
  #change({ record }: UnfinishedUpload, by?: UnfinishedUpload): void {
    this.#uploads = this.#uploads.flatMap((known) => (known.record.key !== record.key ? [known] : by ? [by] : []));
    this.#changed();
  }

  #changed(): void {
    this.show();
    this.#host.onChange();
  }
}

function pickedAs({ record, handle }: UnfinishedUpload, file: File): PickedFile {
  const { relativePath } = record;
  return { file, ...(relativePath !== undefined && { relativePath }), ...(handle && { handle }) };
}

/** The options of the element may have other metadata by now, with which the file would be another upload. */
function continued(upload: UnfinishedUpload, file: File): PickedFile {
  const { metadata } = upload.record;
  return { ...pickedAs(upload, file), ...(metadata && { metadata }) };
}

/** Keys of the records whose uploads another tab is sending at this moment. */
async function keysInUse(records: readonly ResumeRecord[]): Promise<ReadonlySet<string>> {
  const heldNames = await heldLocks();
  return new Set(records.map(({ key }) => key).filter((key) => heldNames.some((name) => name.endsWith(key))));
}
