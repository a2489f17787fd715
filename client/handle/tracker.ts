import type { UploadError } from '../../shared/errors.ts';
import type { Progress } from './following.ts';
import type { UploadSnapshot, UploadState, Waiting } from './snapshot.ts';
import { SpeedMeter } from './speed.ts';
import { canMove, isOver } from './states.ts';

/** Progress is told ten times a second at most: more than a screen shows, and each telling costs a listener's work. */
const TELL_EVERY_MS = 100;
/** While bytes move the speed is told anew even when none did, so that it fades where nothing moves. */
const FADE_EVERY_MS = 1000;

export interface MoveDetails {
  waiting?: Waiting;
  error?: UploadError;
}

/** What is known of one upload, moved by the table of states, told to whoever listens. */
export class Tracker {
  #snapshot: UploadSnapshot;
  /** As the next telling will have it. */
  #state: UploadState;
  #details: MoveDetails = {};
  #sent = 0;
  #confirmed = 0;
  #size: number | null;
  #resumedFrom = 0;
  #attempt = 0;
  #url: string | undefined;
  #name: string;
  readonly #id: string;
  /** Another tab said how far it is: from there on its speed is known. */
  #isFollowing = false;
  #meter = new SpeedMeter(0, performance.now());
  #timer: ReturnType<typeof setTimeout> | undefined;
  #fading: ReturnType<typeof setInterval> | undefined;
  readonly #listeners = new Set<(snapshot: UploadSnapshot) => void>();

  constructor(id: string, name: string, size: number | null, state: UploadState) {
    this.#id = id;
    this.#name = name;
    this.#size = size;
    this.#state = state;
    this.#snapshot = this.#take();
  }

  get snapshot(): UploadSnapshot {
    return this.#snapshot;
  }

  get state(): UploadState {
    return this.#state;
  }

  get confirmed(): number {
    return this.#confirmed;
  }

  get resumedFrom(): number {
    return this.#resumedFrom;
  }

  subscribe(listener: (snapshot: UploadSnapshot) => void): () => void {
    // The same function twice is two subscriptions.
    const entry = (snapshot: UploadSnapshot) => listener(snapshot);
    this.#listeners.add(entry);
    tell(entry, this.#snapshot);
    return () => this.#listeners.delete(entry);
  }

  /** False, and nothing happens, for a move the table does not have. To where it is already only changes the details. */
  move(to: UploadState, details: MoveDetails = {}): boolean {
    if (to === this.#state ? isOver(to) : !canMove(this.#state, to)) return false;
    const isSame = to === this.#state && details.waiting === this.#details.waiting && details.error === this.#details.error;
    if (isSame) return true;
    const isElsewhere = details.waiting?.reason === 'elsewhere';
    if (to === 'uploading' && this.#state !== 'uploading') this.#meter = new SpeedMeter(this.#sent, performance.now());
    this.#state = to;
    this.#details = details;
    this.#isFollowing = false;
    if (to !== 'uploading' && to !== 'inspecting') this.#fallBack();
    clearInterval(this.#fading);
    if (to === 'uploading' || isElsewhere) this.#fading = setInterval(() => this.#tellSoon(), FADE_EVERY_MS);
    this.#tell();
    return true;
  }

  /** What opening it told. */
  opened(name: string, size: number | null): void {
    this.#name = name;
    this.#size = size;
    this.#tellSoon();
  }

  attempted(): void {
    this.#attempt += 1;
    this.#tellSoon();
  }

  created(url: string | undefined): void {
    this.#url = url;
    this.#tellSoon();
  }

  /** The server has so many bytes; with `isStart`, they are where this handle goes on from. */
  confirm(offset: number, isStart: boolean): void {
    const now = performance.now();
    if (isStart) this.#resumedFrom = offset;
    if (isStart || offset < this.#confirmed) this.#meter.rebase(offset, now);
    this.#confirmed = offset;
    // What was sent and not confirmed by an answer is lost. But the byte that is held back has arrived.
    if (this.#sent !== offset && (this.#state !== 'inspecting' || offset < this.#sent - 1)) {
      if (offset > this.#sent) this.#meter.rebase(offset, now);
      this.#sent = offset;
    }
    this.#tellSoon();
  }

  send(offset: number): void {
    const now = performance.now();
    if (offset < this.#sent) this.#meter.rebase(offset, now);
    else this.#meter.add(offset, now);
    this.#sent = offset;
    this.#tellSoon();
  }

  /** Another tab sends it; it is that far. */
  follow({ sent, confirmed, url }: Progress): void {
    if (this.#details.waiting?.reason !== 'elsewhere') return;
    this.#url = url;
    this.#confirmed = confirmed;
    if (!this.#isFollowing) this.#meter = new SpeedMeter(sent, performance.now());
    this.#isFollowing = true;
    this.send(sent);
  }

  /** All of it has a known end now. */
  sized(size: number): void {
    this.#size = size;
    this.#tellSoon();
  }

  #fallBack(): void {
    if (this.#sent <= this.#confirmed) return;
    this.#meter.rebase(this.#confirmed, performance.now());
    this.#sent = this.#confirmed;
  }

  #tellSoon(): void {
    this.#timer ??= setTimeout(() => this.#tell(), TELL_EVERY_MS);
  }

  #tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#snapshot = this.#take();
    for (const listener of this.#listeners) tell(listener, this.#snapshot);
  }

  #take(): UploadSnapshot {
    const state = this.#state;
    const size = this.#size;
    const isMoving = state === 'uploading' || this.#details.waiting?.reason === 'elsewhere';
    const bytesPerSecond = isMoving ? this.#meter.bytesPerSecond(performance.now()) : 0;
    const left = size === null || !this.#meter.isSettled ? null : Math.max(size - this.#sent, 0);
    return Object.freeze({
      id: this.#id,
      name: this.#name,
      state,
      sent: this.#sent,
      confirmed: this.#confirmed,
      size,
      bytesPerSecond,
      etaSeconds: left !== null && left > 0 && bytesPerSecond >= 1 ? left / bytesPerSecond : null,
      resumedFrom: this.#resumedFrom,
      attempt: this.#attempt,
      ...(this.#details.waiting === undefined ? {} : { waiting: Object.freeze(this.#details.waiting) }),
      ...(this.#url === undefined ? {} : { url: this.#url }),
      ...(this.#details.error === undefined ? {} : { error: this.#details.error }),
    });
  }
}

/** A listener that throws is its own affair: neither the upload nor the other listeners suffer. */
export function tell<T>(listener: (value: T) => void, value: T): void {
  try {
    listener(value);
  } catch (error) {
    if (typeof reportError === 'function') reportError(error);
    else console.error(error);
  }
}
