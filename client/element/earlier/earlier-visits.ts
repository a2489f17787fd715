// Finds what earlier visits left unfinished and goes on with it: by itself where the browser still lets the file be opened,
// else once the person gives the file again.
import { heldLocks, openHandle } from '../../browser/optional-apis.ts';
import { forget, interrupted } from '../../index.ts';
import type { QueueOptions } from '../../options.ts';
import type { ResumeRecord } from '../../resume/store.ts';
import { UNDO_WITHIN_MS } from '../cancellations.ts';
import type { PickedFile } from '../drop.ts';
import type { Language } from '../language.ts';
import { visibleName } from '../name.ts';
import { Earlier, type EarlierUpload } from './earlier.ts';
import { dropHandle, findHandle, isSameFile } from './file-handles.ts';

export interface EarlierVisitsHost {
  readonly options: QueueOptions;
  readonly language: Language;
  say(message: string): void;
  send(files: readonly PickedFile[]): void;
  onChange(): void;
  /** The last one went, and the focus with it. */
  onEmptied(): void;
}

export class EarlierVisits {
  readonly #host: EarlierVisitsHost;
  readonly #view: Earlier;
  #uploads: EarlierUpload[] = [];
  #loadedFor = '';

  constructor(host: EarlierVisitsHost) {
    this.#host = host;
    this.#view = new Earlier({
      onFile: (upload, file) => this.#goOn(upload, file),
      onGoOn: (upload) => void this.#ask(upload),
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

  /** Once for an endpoint: what is begun later in this visit is in the list already. */
  async load(signal: AbortSignal): Promise<void> {
    const { options } = this.#host;
    const endpoint = String(options.endpoint);
    if (this.#loadedFor === endpoint) return;
    this.#loadedFor = endpoint;
    // The element may be connected anew before this has looked: then the next one does.
    const again = () => {
      this.#loadedFor = '';
    };
    signal.addEventListener('abort', again);
    const all = (await interrupted(options.store).catch(() => [])).filter((record) => record.endpoint === endpoint);
    const inUse = await keysInUse(all);
    const records = all.filter(({ key }) => !inUse.has(key));
    const uploads: EarlierUpload[] = await Promise.all(records.map(async (record) => ({ record, handle: await findHandle(record) })));
    const files: PickedFile[] = [];
    const kept: EarlierUpload[] = [];
    for (const upload of uploads) {
      const file = upload.handle && (await openHandle(upload.handle, false));
      if (file && isSameFile(upload.record, file)) files.push(pickedAs(upload, file));
      else kept.push(upload);
    }
    if (signal.aborted) return;
    signal.removeEventListener('abort', again);
    this.#uploads.push(...kept);
    if (files.length > 0) this.#host.send(files);
    this.#change();
    const { length } = this.#uploads;
    if (length > 0) this.#host.say(this.#host.language.strings.spokenInterrupted(length));
  }

  /** Takes the given files off the list where they are on it; each then goes on under the path it had. */
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
    this.#change();
    return claimed;
  }

  #goOn(upload: EarlierUpload, file: File): void {
    this.#take(upload);
    this.#host.send([pickedAs(upload, file)]);
  }

  async #ask(upload: EarlierUpload): Promise<void> {
    const file = upload.handle && (await openHandle(upload.handle, true));
    if (file && isSameFile(upload.record, file)) {
      this.#goOn(upload, file);
      return;
    }
    // Moved, changed or not allowed: the file has to be given again.
    this.#uploads = this.#uploads.map((known) => (known === upload ? { record: upload.record } : known));
    this.#change();
    this.#view.focus();
  }

  /** For good after a while. A page that is closed before has discarded nothing. */
  #discard(upload: EarlierUpload): void {
    const { strings } = this.#host.language;
    const discarded = { ...upload, discarding: setTimeout(() => void this.#forget(discarded), UNDO_WITHIN_MS) };
    this.#replace(upload, discarded);
    this.#host.say(`${strings.spokenDiscarded(visibleName(upload.record.name))} ${strings.spokenUndo}`);
  }

  #undo({ record, handle, discarding }: EarlierUpload): void {
    clearTimeout(discarding);
    const upload = this.#uploads.find((known) => known.record === record);
    if (upload !== undefined) this.#replace(upload, { record, handle });
  }

  #replace(upload: EarlierUpload, by: EarlierUpload): void {
    const index = this.#uploads.indexOf(upload);
    if (index < 0) return;
    this.#uploads[index] = by;
    this.#change();
    this.#view.focus(index);
  }

  async #forget(upload: EarlierUpload): Promise<void> {
    if (!this.#uploads.includes(upload)) return;
    const hadFocus = this.element.matches(':focus-within');
    this.#uploads = this.#uploads.filter((known) => known !== upload);
    this.#change();
    if (hadFocus && !this.#view.focus()) this.#host.onEmptied();
    void dropHandle(upload.record);
    // What can't be deleted on the server now expires there by itself.
    await forget(upload.record, { ...this.#host.options, deleteRemote: true }).catch(() => undefined);
  }

  #take(upload: EarlierUpload): void {
    this.#uploads = this.#uploads.filter((known) => known !== upload);
    this.#change();
    if (!this.#view.focus()) this.#host.onEmptied();
  }

  #change(): void {
    this.show();
    this.#host.onChange();
  }
}

function pickedAs({ record, handle }: EarlierUpload, file: File): PickedFile {
  const { relativePath } = record;
  return { file, ...(relativePath !== undefined && { relativePath }), ...(handle && { handle }) };
}

/** Keys of the records whose uploads another tab is sending at this moment. */
async function keysInUse(records: readonly ResumeRecord[]): Promise<ReadonlySet<string>> {
  const held = await heldLocks();
  return new Set(records.map(({ key }) => key).filter((key) => held.some((name) => name.endsWith(key))));
}
