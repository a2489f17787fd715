// What the core asks of the platform it runs on. `browser-*.ts` and `node-*.ts` answer.
import type { ResumeStore } from './resume/store.ts';

/** A file before it is opened: what can be told of it at once. */
export interface SourceReference {
  readonly name: string;
  /** Null where it takes opening to know. */
  readonly size: number | null;
  /** @throws UploadError ERR_SOURCE_UNREADABLE */
  open(): Promise<Source>;
}

/** A file that can be read at any place; a stream only forwards, and again from what is not confirmed yet. */
export interface Source {
  readonly name: string;
  /** Media type, or ''. */
  readonly type: string;
  /** Bytes; null for a stream of unknown length. */
  readonly size: number | null;
  /** Milliseconds since 1970; null where there is none. */
  readonly lastModified: number | null;
  readonly path?: string;
  readonly relativePath?: string;
  /** False for what can't be found again by a later visit, or can't be read from the start again. */
  readonly isResumable: boolean;
  /**
   * The bytes from `start` up to `end`, all of them; less only at the end of a stream of unknown length.
   *
   * @throws UploadError ERR_SOURCE_CHANGED when the file is no longer the one that was opened, ERR_SOURCE_UNREADABLE
   */
  read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Nothing below this offset is read again. */
  release(offset: number): void;
  close(): Promise<void>;
}

/** Bytes of a request. Read in order and once, in pieces of the transport's choice. */
export interface RequestBody {
  readonly size: number;
  /** Of all of it, where it is in memory and checksums are wanted. */
  readonly crc32?: number;
  /** Offsets within the body. @throws UploadError as `Source.read` */
  read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
}

export interface TransportRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: RequestBody;
  readonly withCredentials: boolean;
  /** Once aborted nothing more is sent, and `send` rejects with its reason. */
  readonly signal: AbortSignal;
  /** Bytes of the body that left this device so far. */
  onSent(bytes: number): void;
}

export interface TransportResponse {
  readonly status: number;
  header(name: string): string | null;
  readonly text: string;
}

export interface TransportErrorOptions {
  isUnreachable: boolean;
  isHopeless?: boolean;
  isUnknownHost?: boolean;
  detail?: string;
  cause?: unknown;
}

/** The connection failed; there is no answer. */
export class TransportError extends Error {
  /** No connection came about at all. */
  readonly isUnreachable: boolean;
  /** Trying again can't help, as with a certificate nobody vouches for. */
  readonly isHopeless: boolean;
  /** The name of the host stands for no address: more likely a slip of the pen than a network that will be back. */
  readonly isUnknownHost: boolean;
  /** What went wrong, for people, where the platform tells. */
  readonly detail: string | undefined;

  constructor(message: string, options: TransportErrorOptions) {
    super(message, { cause: options.cause });
    this.isUnreachable = options.isUnreachable;
    this.isHopeless = options.isHopeless ?? false;
    this.isUnknownHost = options.isUnknownHost ?? false;
    this.detail = options.detail;
  }
}

/** Sends one request and reads the whole answer. Redirects are answers. Time limits are the caller's. */
export interface Transport {
  /** @throws TransportError, what the body's `read` threw, or the reason of the signal */
  send(request: TransportRequest): Promise<TransportResponse>;
}

/** Mutual exclusion by name between everything that shares the resume store. */
export interface Locks {
  /**
   * Resolves with how to release it. A holder that dies releases it too.
   *
   * @param onWaiting called when another holds it
   * @throws the reason of the signal
   */
  acquire(name: string, signal: AbortSignal, onWaiting: () => void): Promise<() => void>;
}

/** As `BroadcastChannel`. */
export interface Channel {
  postMessage(message: unknown): void;
  addEventListener(type: 'message', listener: (event: MessageEvent) => void): void;
  close(): void;
}

/** Between everything that shares the locks: how far the holder of one is. */
export interface Channels {
  /** Undefined where there is none to be had. */
  open(name: string): Channel | undefined;
}

export interface Surroundings {
  /** False only when the device knows that it has no network. */
  isOnline(): boolean;
  /** Calls when the network came back or changed, or the page is looked at again: a good moment to try. Returns how to stop. */
  onWake(listener: () => void): () => void;
  /** Calls when the network went, came back or changed: what was open may have gone with the old one. Returns how to stop. */
  onNetwork(listener: () => void): () => void;
  /** While bytes move. Returns how to let go. */
  hold(options: { keepAwake: boolean; confirmLeaving: boolean }): () => void;
}

export interface ChunkLimits {
  readonly startBytes: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  /** Where a body is streamed, all that is left may go in one. */
  readonly wholeBody: boolean;
}

export interface Platform {
  readonly transport: Transport;
  readonly store: ResumeStore;
  readonly locks: Locks;
  readonly channels: Channels;
  readonly surroundings: Surroundings;
  readonly chunks: ChunkLimits;
  readonly budgetMs: number;
  /** What a relative endpoint is relative to. */
  readonly baseUrl: string | undefined;
  /** Continues a CRC-32 (of 0 for the first bytes). */
  crc32(bytes: Uint8Array, previous: number): number;
  /** Between pieces of work that together take long: lets the page draw and hear its user. Undefined where there is none. */
  readonly breathe: (() => Promise<void>) | undefined;
}
