// Lists the unfinished uploads of earlier visits and resumes them: automatically when the browser still allows opening the file,
// otherwise when the user adds the file again.
import { heldLocks, openHandle } from '../../browser/optional-apis.ts';
import { forget, interrupted } from '../../index.ts';
import type { QueueOptions } from '../../options.ts';
import type { ResumeRecord } from '../../resume/store.ts';
import { UNDO_WITHIN_MS } from '../cancellations.ts';
import type { PickedFile } from '../drop.ts';
import type { Language } from '../language.ts';
import { visibleName } from '../name.ts';
import { findHandle, isSameFile, removeHandle } from './file-handles.ts';
import { UnfinishedList, type UnfinishedUpload } from './unfinished-list.ts';

export interface UnfinishedUploadsHost {
  readonly options: QueueOptions;
  readonly language: Language;
  announce(message: string): void;
  send(files: readonly PickedFile[]): void;
  onChange(): void;
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
    this.#view.show(this.#uploads, this.#host.language);
  }

  /** Loads the records once for each endpoint, because uploads that start later in this visit are listed elsewhere. */
  async load(signal: AbortSignal): Promise<void> {
    const { options } = this.#host;
    const endpoint = String(options.endpoint);
    if (this.#loadedFor === endpoint) return;
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
      if (file && isSameFile(upload.record, file)) files.push(pickedAs(upload, file));
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

  #resume(upload: UnfinishedUpload, file: File): void {
    this.#removeFromList(upload);
    this.#host.send([pickedAs(upload, file)]);
  }

  async #openAndResume(upload: UnfinishedUpload): Promise<void> {
    const file = upload.handle && (await openHandle(upload.handle, true));
    if (file && isSameFile(upload.record, file)) {
      this.#resume(upload, file);
      return;
    }
    // The file was moved or changed, or the user denied access: the user must choose it again.
    this.#uploads = this.#uploads.map((known) => (known === upload ? { record: upload.record } : known));
    this.#changed();
    this.#view.focus();
  }

  /** Discards the upload after ten seconds. If the page is closed within that time, nothing is discarded. */
  #discard(upload: UnfinishedUpload): void {
    const { strings } = this.#host.language;
    const discarded = { ...upload, discarding: setTimeout(() => void this.#discardNow(discarded), UNDO_WITHIN_MS) };
    this.#replace(upload, discarded);
    this.#host.announce(`${strings.announceDiscarded(visibleName(upload.record.name))} ${strings.announceUndo}`);
  }

  #undo({ record, handle, discarding }: UnfinishedUpload): void {
    clearTimeout(discarding);
    const upload = this.#uploads.find((known) => known.record === record);
    if (upload !== undefined) this.#replace(upload, { record, handle });
  }

  #replace(upload: UnfinishedUpload, by: UnfinishedUpload): void {
    const index = this.#uploads.indexOf(upload);
    if (index < 0) return;
    this.#uploads[index] = by;
    this.#changed();
    this.#view.focus(index);
  }

  async #discardNow(upload: UnfinishedUpload): Promise<void> {
    if (!this.#uploads.includes(upload)) return;
    const hadFocus = this.element.matches(':focus-within');
    this.#uploads = this.#uploads.filter((known) => known !== upload);
    this.#changed();
    if (hadFocus && !this.#view.focus()) this.#host.onEmptied();
    void removeHandle(upload.record);
    // If the server cannot be reached, the upload expires there.
    await forget(upload.record, { ...this.#host.options, deleteRemote: true }).catch(() => undefined);
  }

  #removeFromList(upload: UnfinishedUpload): void {
    this.#uploads = this.#uploads.filter((known) => known !== upload);
    this.#changed();
    if (!this.#view.focus()) this.#host.onEmptied();
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

/** Keys of the records whose uploads another tab is sending at this moment. */
async function keysInUse(records: readonly ResumeRecord[]): Promise<ReadonlySet<string>> {
  const heldNames = await heldLocks();
  return new Set(records.map(({ key }) => key).filter((key) => heldNames.some((name) => name.endsWith(key))));
}
