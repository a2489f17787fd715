// The uploads of one element: the queue, its rows, and what their buttons do.

import type { QueueSnapshot, UploadQueue } from '../handle/queue.ts';
import type { UploadResult } from '../handle/snapshot.ts';
import { isOver } from '../handle/states.ts';
import { createQueue, type UploadSource } from '../index.ts';
import type { QueueOptions } from '../options.ts';
import type { PickedFile } from './drop.ts';
import { KnownFiles } from './known-files.ts';
import { UploadList } from './list/list.ts';
import { Overview } from './list/overview.ts';
import { Pace } from './list/pace.ts';
import { visibleName } from './list/row.ts';
import { type Action, type Language, reasonOf } from './list/view.ts';
import { refusalOf, type ServerConfig } from './policy.ts';
import { ASK_FROM_BYTES } from './question.ts';
import { Spoken } from './spoken.ts';

const SHOW_EVERY_MS = 250;
const SLICE = 100;
/** More than these are told by their number. */
const SPOKEN_AT_MOST = 3;

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
  readonly #files = new KnownFiles();
  readonly #pace = new Pace(SHOW_EVERY_MS, () => this.show());
  #queue: UploadQueue<UploadSource> | undefined;
  #stateKey = '';
  #ticking: ReturnType<typeof setInterval> | undefined;
  #refusals = 0;
  #isAdding = false;

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

  /** Sends what the policy allows, and says of the rest why not. A folder of thousands is taken in slices: the page stays alive. */
  async add(files: readonly PickedFile[], config: ServerConfig | undefined): Promise<void> {
    const refusals: string[] = [];
    for (let start = 0; start < files.length; start += SLICE) {
      if (start > 0) await new Promise((resolve) => setTimeout(resolve));
      refusals.push(...this.#addSlice(files.slice(start, start + SLICE), config));
    }
    const { strings } = this.#host.language;
    for (const message of refusals.length <= SPOKEN_AT_MOST ? refusals : [strings.spokenRefusals(refusals.length)]) this.#host.say(message);
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

  /** @returns what is to be said of those that were refused */
  #addSlice(files: readonly PickedFile[], config: ServerConfig | undefined): string[] {
    const { options, language } = this.#host;
    const refusals: string[] = [];
    this.#isAdding = true;
    try {
      for (const picked of files) {
        const reason = refusalOf(config, picked.file);
        if (reason === undefined) this.#send(picked, options);
        else {
          this.#refuse(picked, reason, language);
          refusals.push(language.strings.spokenRefused(visibleName(picked.file.name), reason));
        }
      }
    } finally {
      this.#isAdding = false;
    }
    if (this.#queue) this.#onChange(this.#queue.snapshot);
    this.#pace.now();
    return refusals;
  }

  #send({ file, relativePath, handle }: PickedFile, options: QueueOptions): void {
    const { name, size, lastModified } = file;
    const identity = { endpoint: String(options.endpoint), name, size, lastModified, relativePath };
    if (this.#files.isUnderWay(identity, this.#queue)) {
      this.#host.say(this.#host.language.strings.spokenKnown(visibleName(name)));
      return;
    }
    if (this.#queue === undefined) {
      this.#queue = createQueue(options);
      this.#queue.subscribe((snapshot) => this.#onChange(snapshot));
    }
    const upload = this.#queue.add(file, { ...options, ...(relativePath !== undefined && { relativePath }) });
    const { id } = upload.snapshot;
    this.list.add(id, { name, relativePath });
    this.#files.add(id, identity, handle);
    this.#follow(id);
  }

  #follow(id: string): void {
    const done = this.#queue?.get(id)?.done;
    done?.then(
      (result) => this.#host.onAccepted(result),
      () => {
        const snapshot = this.#queue?.get(id)?.snapshot;
        if (snapshot?.state === 'rejected') this.#host.onRefused({ name: snapshot.name, reason: reasonOf(snapshot.error) });
      },
    );
  }

  #refuse({ file, relativePath }: PickedFile, reason: string, language: Language): void {
    this.list.addRefused(`refused-${++this.#refusals}`, { name: file.name, relativePath, size: file.size }, reason, language);
    this.#host.onRefused({ name: file.name, reason });
  }

  #onChange(snapshot: QueueSnapshot): void {
    if (this.#isAdding) return;
    for (const message of this.#spoken.changes(snapshot, this.#host.language.strings)) this.#host.say(message);
    for (const { id, state } of snapshot.uploads) if (isOver(state)) this.#files.ended(id, state);
    const stateKey = snapshot.uploads.map(({ id, state }) => id + state).join();
    if (stateKey === this.#stateKey) this.#pace.soon();
    else this.#pace.now();
    this.#stateKey = stateKey;
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
    const open = this.snapshot.uploads.filter(({ state }) => !isOver(state));
    const confirmed = open.reduce((sum, upload) => sum + upload.confirmed, 0);
    if (confirmed < ASK_FROM_BYTES) void this.cancel();
    else this.overview.ask(strings.discardQuestion(formats.bytes(confirmed)), strings, () => void this.cancel());
  }

  #retry(id: string): void {
    const upload = this.#queue?.retry(id);
    if (upload === undefined) return;
    const newId = upload.snapshot.id;
    this.list.rename(id, newId);
    this.#files.rename(id, newId);
    if (newId !== id) this.#follow(newId);
    this.#pace.now();
  }

  #retryAll(): void {
    for (const { id, state } of this.snapshot.uploads) if (state === 'failed') this.#retry(id);
  }

  #remove(id: string): void {
    this.#queue?.remove(id);
    const next = this.list.remove(id);
    this.#files.remove(id);
    this.#pace.now();
    if (this.isEmpty) this.#host.onEmptied();
    else next?.focus();
  }

  #clearEnded(): void {
    const ended = this.snapshot.uploads.filter(({ state }) => isOver(state)).map(({ id }) => id);
    for (const id of [...ended, ...this.list.refusedIds()]) {
      this.#queue?.remove(id);
      this.list.remove(id);
      this.#files.remove(id);
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
