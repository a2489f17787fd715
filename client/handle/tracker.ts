import type { Progress } from './following.ts';
import type { Standing, UploadSnapshot, UploadState } from './snapshot.ts';
import { SpeedMeter } from './speed.ts';
import { canMove, isOver } from './states.ts';

/** Progress is told ten times a second at most: more than a screen shows, and each telling costs a listener's work. */
const TELL_EVERY_MS = 100;
/** While bytes move the speed is told anew even when none did, so that it fades where nothing moves. */
const FADE_EVERY_MS = 1000;

/** What is known of one upload, moved by the table of states, told to whoever listens. */
export class Tracker {
  #snapshot: UploadSnapshot;
  /** As the next telling will have it. */
  #standing: Standing;
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

  constructor(id: string, name: string, size: number | null, state: 'queued' | 'preparing') {
    this.#id = id;
    this.#name = name;
    this.#size = size;
    this.#standing = { state };
    this.#snapshot = this.#take();
  }

  get snapshot(): UploadSnapshot {
    return this.#snapshot;
  }

  get state(): UploadState {
    return this.#standing.state;
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

  /** False, and nothing happens, for a move the table does not have. To the state it is in already, it only changes what that has. */
  move(to: Standing): boolean {
    const from = this.#standing;
    const { state } = to;
    if (state === from.state ? isOver(state) : !canMove(from.state, state)) return false;
    const isSame = state === from.state && to.waiting === from.waiting && to.error === from.error;
    if (isSame) return true;
    const isElsewhere = to.waiting?.reason === 'elsewhere';
    if (state === 'uploading' && from.state !== 'uploading') this.#meter = new SpeedMeter(this.#sent, performance.now());
    this.#standing = to;
    this.#isFollowing = false;
    if (state !== 'uploading' && state !== 'inspecting') this.#fallBack();
    clearInterval(this.#fading);
    if (state === 'uploading' || isElsewhere) this.#fading = setInterval(() => this.#tellSoon(), FADE_EVERY_MS);
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
    if (this.#sent !== offset && (this.state !== 'inspecting' || offset < this.#sent - 1)) {
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
    if (this.#standing.waiting?.reason !== 'elsewhere') return;
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
    const standing = this.#standing;
    if (standing.waiting !== undefined) Object.freeze(standing.waiting);
    const size = this.#size;
    const isMoving = standing.state === 'uploading' || standing.waiting?.reason === 'elsewhere';
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
      ...standing,
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
