import { withoutCredentials } from '../address.ts';
import type { SharedProgress } from './shared-progress.ts';
import type { StateDetails, UploadSnapshot, UploadState } from './snapshot.ts';
import { SpeedMeter } from './speed.ts';
import { canTransition, isFinal } from './states.ts';

/** Listeners get progress at most ten times a second, which is often enough for a display. */
const NOTIFY_EVERY_MS = 100;
/** Interval at which listeners get the speed while uploading, so that it decreases when no bytes are sent. */
const SPEED_EVERY_MS = 1000;

/** Holds the state and progress of one upload, allows only the transitions of the table, and notifies listeners. */
export class Tracker {
  #snapshot: UploadSnapshot;
  /** The state that the next snapshot will have. */
  #details: StateDetails;
  #sent = 0;
  #confirmed = 0;
  #size: number | null;
  #resumedFrom = 0;
  #attempt = 0;
  #url: string | undefined;
  #name: string;
  readonly #id: string;
  /** Another tab has reported its progress, so the meter measures that tab's speed. */
  #isFollowing = false;
  #meter = new SpeedMeter(0, performance.now());
  #timer: ReturnType<typeof setTimeout> | undefined;
  #speedTimer: ReturnType<typeof setInterval> | undefined;
  readonly #listeners = new Set<(snapshot: UploadSnapshot) => void>();

  constructor(id: string, name: string, size: number | null, state: 'queued' | 'preparing') {
    this.#id = id;
    this.#name = name;
    this.#size = size;
    this.#details = { state };
    this.#snapshot = this.#makeSnapshot();
  }

  get snapshot(): UploadSnapshot {
    return this.#snapshot;
  }

  get state(): UploadState {
    return this.#details.state;
  }

  get confirmed(): number {
    return this.#confirmed;
  }

  get resumedFrom(): number {
    return this.#resumedFrom;
  }

  subscribe(listener: (snapshot: UploadSnapshot) => void): () => void {
    // Wrapped, so that the same function subscribed twice is called twice.
    const subscriber = (snapshot: UploadSnapshot) => listener(snapshot);
    this.#listeners.add(subscriber);
    notifyListener(subscriber, this.#snapshot);
    return () => this.#listeners.delete(subscriber);
  }

  /**
   * Changes the state. Returns false and changes nothing when the table does not allow it. Setting the present state again only
   * updates its details.
   */
  transition(to: StateDetails): boolean {
    const from = this.#details;
    const { state } = to;
    if (state === from.state ? isFinal(state) : !canTransition(from.state, state)) return false;
    const isSame = state === from.state && to.waiting === from.waiting && to.error === from.error;
    if (isSame) return true;
    const isElsewhere = to.waiting?.reason === 'elsewhere';
    if (state === 'uploading' && from.state !== 'uploading') this.#meter = new SpeedMeter(this.#sent, performance.now());
    this.#details = to;
    this.#isFollowing = false;
    if (state !== 'uploading' && state !== 'inspecting') this.#dropUnconfirmed();
    clearInterval(this.#speedTimer);
    if (state === 'uploading' || isElsewhere) this.#speedTimer = setInterval(() => this.#notifySoon(), SPEED_EVERY_MS);
    this.#notify();
    return true;
  }

  /** Name and size are known now that the source is open. */
  sourceOpened(name: string, size: number | null): void {
    this.#name = name;
    this.#size = size;
    this.#notifySoon();
  }

  attemptStarted(): void {
    this.#attempt += 1;
    this.#notifySoon();
  }

  urlKnown(url: string | undefined): void {
    this.#url = url === undefined ? undefined : withoutCredentials(url);
    this.#notifySoon();
  }

  /** The server acknowledged all bytes below `offset`. `isStart`: this handle resumes from there. */
  confirm(offset: number, isStart: boolean): void {
    const now = performance.now();
    if (isStart) this.#resumedFrom = offset;
    if (isStart || offset < this.#confirmed) this.#meter.rebase(offset, now);
    this.#confirmed = offset;
    // Bytes that were sent but not confirmed are lost, except the last byte, which the server has but holds back.
    if (this.#sent !== offset && (this.state !== 'inspecting' || offset < this.#sent - 1)) {
      if (offset > this.#sent) this.#meter.rebase(offset, now);
      this.#sent = offset;
    }
    this.#notifySoon();
  }

  bytesSent(offset: number): void {
    const now = performance.now();
    if (offset < this.#sent) this.#meter.rebase(offset, now);
    else this.#meter.add(offset, now);
    this.#sent = offset;
    this.#notifySoon();
  }

  /** Shows the progress of another tab that sends this file. */
  showShared({ sent, confirmed, url }: SharedProgress): void {
    if (this.#details.waiting?.reason !== 'elsewhere') return;
    this.#url = url;
    this.#confirmed = confirmed;
    if (!this.#isFollowing) this.#meter = new SpeedMeter(sent, performance.now());
    this.#isFollowing = true;
    this.bytesSent(sent);
  }

  /** The size of a stream is known now. */
  sizeKnown(size: number): void {
    this.#size = size;
    this.#notifySoon();
  }

  #dropUnconfirmed(): void {
    if (this.#sent <= this.#confirmed) return;
    this.#meter.rebase(this.#confirmed, performance.now());
    this.#sent = this.#confirmed;
  }

  #notifySoon(): void {
    this.#timer ??= setTimeout(() => this.#notify(), NOTIFY_EVERY_MS);
  }

  #notify(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#snapshot = this.#makeSnapshot();
    for (const listener of this.#listeners) notifyListener(listener, this.#snapshot);
  }

  #makeSnapshot(): UploadSnapshot {
    const details = this.#details;
    if (details.waiting !== undefined) Object.freeze(details.waiting);
    const size = this.#size;
    const isMoving = details.state === 'uploading' || details.waiting?.reason === 'elsewhere';
    const bytesPerSecond = isMoving ? this.#meter.bytesPerSecond(performance.now()) : 0;
    const left = size === null || !this.#meter.isSettled ? null : Math.max(size - this.#sent, 0);
    return Object.freeze({
      id: this.#id,
      name: this.#name,
      sent: this.#sent,
      confirmed: this.#confirmed,
      size,
      bytesPerSecond,
      etaSeconds: left !== null && left > 0 && bytesPerSecond >= 1 ? left / bytesPerSecond : null,
      resumedFrom: this.#resumedFrom,
      attempt: this.#attempt,
      ...(this.#url === undefined ? {} : { url: this.#url }),
      ...details,
    });
  }
}

/** Reports the error of a listener that throws, so that it affects neither the upload nor other listeners. */
export function notifyListener<T>(listener: (value: T) => void, value: T): void {
  try {
    listener(value);
  } catch (error) {
    if (typeof reportError === 'function') reportError(error);
    else console.error(error);
  }
}
