// The uploads of one element: the queue, its rows, and what their buttons do.
import { createQueue, type UploadSource } from '../index.ts';
import type { QueueOptions } from '../options.ts';
import type { QueueSnapshot, UploadQueue } from '../queue.ts';
import type { UploadResult, UploadSnapshot, UploadState } from '../snapshot.ts';
import type { PickedFile } from './drop.ts';
import { dropHandle, type FileIdentity, keepHandle } from './file-handles.ts';
import { UploadList } from './list.ts';
import { Overview } from './overview.ts';
import { Pace } from './pace.ts';
import { refusalOf, type ServerConfig } from './policy.ts';
import { visibleName } from './row.ts';
import { Spoken } from './spoken.ts';
import { type Action, type Language, reasonOf } from './view.ts';

/** Giving up more than this is asked about first: half an hour of somebody's evening. */
const ASK_FROM_BYTES = 64 * 1024 * 1024;
const SHOW_EVERY_MS = 250;
const ENDED: readonly UploadState[] = ['accepted', 'rejected', 'failed', 'cancelled'];

export interface Refused {
  name: string;
  reason: string;
}

export interface TransfersHost {
  /** Read at each use: attributes and properties may change. */
  readonly options: QueueOptions;
  readonly language: Language;
  say(message: string): void;
  onProgress(queue: QueueSnapshot): void;
  onAccepted(result: UploadResult): void;
  onRefused(refused: Refused): void;
  onEmptied(): void;
}

export class Transfers {
  readonly list: UploadList;
  readonly overview: Overview;
  readonly #host: TransfersHost;
  readonly #spoken = new Spoken();
  readonly #identities = new Map<string, FileIdentity>();
  readonly #pace = new Pace(SHOW_EVERY_MS, () => this.show());
  #queue: UploadQueue<UploadSource> | undefined;
  #stateKey = '';
  #ticking: ReturnType<typeof setInterval> | undefined;
  #refusals = 0;

  constructor(host: TransfersHost) {
    this.#host = host;
    this.list = new UploadList((id, action) => this.#act(id, action));
    this.overview = new Overview({
      pauseAll: () => this.pause(),
      resumeAll: () => this.resume(),
      retryAll: () => this.#retryAll(),
      cancelAll: () => this.#askCancelAll(),
      clearEnded: () => this.#clearEnded(),
    });
  }

  get snapshot(): QueueSnapshot {
    return this.#queue?.snapshot ?? EMPTY;
  }

  get isEmpty(): boolean {
    return this.snapshot.uploads.length + this.list.refusedCount === 0;
  }

  /** Sends what the policy allows, and says of the rest why not. */
  add(files: readonly PickedFile[], config: ServerConfig | undefined): void {
    const { language, options } = this.#host;
    for (const { file, relativePath, handle } of files) {
      if (this.#isUnderWay(file, relativePath)) {
        this.#host.say(language.strings.spokenKnown(visibleName(file.name)));
        continue;
      }
      const reason = refusalOf(config, file);
      if (reason === undefined) this.#send(file, relativePath, handle, options);
      else this.#refuse(file, relativePath, reason, language);
    }
    this.#pace.now();
  }

  /** One by one and from the end, so that none in the queue takes the place of one that stopped. */
  pause(): void {
    for (const { id } of this.snapshot.uploads.toReversed()) this.#queue?.get(id)?.pause();
  }

  resume(): void {
    for (const { id, state } of this.snapshot.uploads) if (state === 'paused') this.#queue?.get(id)?.resume();
  }

  async cancel(): Promise<void> {
    await this.#queue?.cancel({ deleteRemote: true }).catch(() => undefined);
  }

  /** @param everything after a change of language */
  show(everything = false): void {
    const { snapshot } = this;
    const { language } = this.#host;
    this.list.show(snapshot, language, everything);
    this.overview.show(snapshot, this.list.refusedCount, language);
    this.#tick(snapshot);
    this.#host.onProgress(snapshot);
  }

  #send(file: File, relativePath: string | undefined, handle: FileSystemFileHandle | undefined, options: QueueOptions): void {
    if (this.#queue === undefined) {
      this.#queue = createQueue(options);
      this.#queue.subscribe((snapshot) => this.#onChange(snapshot));
    }
    const upload = this.#queue.add(file, { ...options, ...(relativePath !== undefined && { relativePath }) });
    const { id } = upload.snapshot;
    this.list.add(id, { name: file.name, relativePath });
    const { name, size, lastModified } = file;
    const identity = { endpoint: String(options.endpoint), name, size, lastModified, relativePath };
    this.#identities.set(id, identity);
    if (handle) void keepHandle(identity, handle);
    this.#follow(id);
  }

  /** Dropped a second time while the first is on its way: the two would wait for each other, and then arrive twice. */
  #isUnderWay({ name, size, lastModified }: File, relativePath: string | undefined): boolean {
    for (const [id, known] of this.#identities) {
      const isSame =
        known.name === name && known.size === size && known.lastModified === lastModified && known.relativePath === relativePath;
      const state = this.#queue?.get(id)?.snapshot.state;
      if (isSame && state !== undefined && !ENDED.includes(state)) return true;
    }
    return false;
  }

  #follow(id: string): void {
    const done = this.#queue?.get(id)?.done;
    done?.then(
      (result) => this.#host.onAccepted(result),
      () => {
        const snapshot = this.#queue?.get(id)?.snapshot;
        if (snapshot?.state === 'rejected') this.#host.onRefused({ name: snapshot.name, reason: reasonOf(snapshot) });
      },
    );
  }

  #refuse(file: File, relativePath: string | undefined, reason: string, language: Language): void {
    this.list.addRefused(`refused-${++this.#refusals}`, { name: file.name, relativePath, size: file.size }, reason, language);
    this.#host.say(language.strings.spokenRefused(visibleName(file.name), reason));
    this.#host.onRefused({ name: file.name, reason });
  }

  #onChange(snapshot: QueueSnapshot): void {
    for (const message of this.#spoken.changes(snapshot, this.#host.language.strings)) this.#host.say(message);
    this.#forgetHandles(snapshot.uploads);
    const stateKey = snapshot.uploads.map(({ id, state }) => id + state).join();
    if (stateKey === this.#stateKey) this.#pace.soon();
    else this.#pace.now();
    this.#stateKey = stateKey;
  }

  /** A failed upload keeps its handle: a later visit goes on with it. */
  #forgetHandles(uploads: readonly UploadSnapshot[]): void {
    for (const { id, state } of uploads) {
      const identity = this.#identities.get(id);
      if (identity === undefined || state === 'failed' || !ENDED.includes(state)) continue;
      this.#identities.delete(id);
      void dropHandle(identity);
    }
  }

  #act(id: string, action: Action): void {
    const upload = this.#queue?.get(id);
    if (action === 'pause') upload?.pause();
    else if (action === 'resume') upload?.resume();
    else if (action === 'retry' || action === 'sendAgain') this.#retry(id);
    else if (action === 'cancel') this.#askCancel(id);
    else if (action === 'remove') this.#remove(id);
  }

  #askCancel(id: string): void {
    const upload = this.#queue?.get(id);
    if (upload === undefined) return;
    const cancel = () => void upload.cancel({ deleteRemote: true }).catch(() => undefined);
    const { confirmed } = upload.snapshot;
    const { strings, formats } = this.#host.language;
    if (confirmed < ASK_FROM_BYTES) cancel();
    else this.list.row(id)?.ask(strings.discardQuestion(formats.bytes(confirmed)), strings, cancel);
  }

  #askCancelAll(): void {
    const { strings, formats } = this.#host.language;
    const open = this.snapshot.uploads.filter(({ state }) => !ENDED.includes(state));
    const confirmed = open.reduce((sum, upload) => sum + upload.confirmed, 0);
    if (confirmed < ASK_FROM_BYTES) void this.cancel();
    else this.overview.ask(strings.discardQuestion(formats.bytes(confirmed)), strings, () => void this.cancel());
  }

  #retry(id: string): void {
    const upload = this.#queue?.retry(id);
    if (upload === undefined) return;
    const newId = upload.snapshot.id;
    const identity = this.#identities.get(id);
    this.list.rename(id, newId);
    if (identity) this.#identities.set(newId, identity);
    if (newId !== id) {
      this.#identities.delete(id);
      this.#follow(newId);
    }
    this.#pace.now();
  }

  #retryAll(): void {
    for (const { id, state } of this.snapshot.uploads) if (state === 'failed') this.#retry(id);
  }

  #remove(id: string): void {
    this.#queue?.remove(id);
    const next = this.list.remove(id);
    this.#identities.delete(id);
    this.#pace.now();
    if (this.isEmpty) this.#host.onEmptied();
    else next?.focus();
  }

  #clearEnded(): void {
    const ended = this.snapshot.uploads.filter(({ state }) => ENDED.includes(state)).map(({ id }) => id);
    for (const id of [...ended, ...this.list.refusedIds()]) {
      this.#queue?.remove(id);
      this.list.remove(id);
      this.#identities.delete(id);
    }
    this.#pace.now();
    if (this.isEmpty) this.#host.onEmptied();
    else this.overview.focus();
  }

  /** Seconds until the next try are counted down while there are any. */
  #tick(snapshot: QueueSnapshot): void {
    const counts = snapshot.uploads.some(({ waiting }) => waiting?.until !== undefined);
    if (counts) this.#ticking ??= setInterval(() => this.show(), 1000);
    else {
      clearInterval(this.#ticking);
      this.#ticking = undefined;
    }
  }
}

const EMPTY: QueueSnapshot = {
  uploads: [],
  counts: {
    queued: 0,
    preparing: 0,
    uploading: 0,
    waiting: 0,
    paused: 0,
    inspecting: 0,
    accepted: 0,
    rejected: 0,
    failed: 0,
    cancelled: 0,
  },
  sent: 0,
  confirmed: 0,
  size: 0,
  bytesPerSecond: 0,
  etaSeconds: null,
  isPaused: false,
  isIdle: true,
};
