// The interfaces between the core and its platform. `browser/` and `node/` implement them.
import type { ResumeStore } from './resume/store.ts';

/** A file before it is opened, with its name and, if known, its size. */
export interface SourceReference {
  readonly name: string;
  /** Bytes; null when only opening the source tells the size. */
  readonly size: number | null;
  /** @throws UploadError ERR_SOURCE_UNREADABLE */
  open(): Promise<Source>;
}

/** An open file, readable at any offset. A stream can be read forwards only, and again from the last confirmed offset. */
export interface Source {
  readonly name: string;
  /** Media type, or ''. */
  readonly type: string;
  /** Bytes; null for a stream of unknown length. */
  readonly size: number | null;
  /** Milliseconds since 1970; null when the source has no time of modification. */
  readonly lastModified: number | null;
  readonly path?: string;
  readonly relativePath?: string;
  /** False when a later visit cannot open the source again or read it from the start. */
  readonly isResumable: boolean;
  /**
   * All bytes from `start` up to, but not including, `end`; fewer only at the end of a stream of unknown length.
   *
   * @throws UploadError ERR_SOURCE_CHANGED when the file is no longer the one that was opened, ERR_SOURCE_UNREADABLE
   */
  read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
  /** The caller will not read below this offset again. */
  release(offset: number): void;
  close(): Promise<void>;
}

/** The body of a request. The transport reads it once, in order, in pieces of its choice. */
export interface RequestBody {
  readonly size: number;
  /** CRC-32 of the body; only when it is in memory and checksums are on. */
  readonly crc32?: number;
  /** `start` and `end` are offsets in the body. @throws UploadError as `Source.read` */
  read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
}

export interface TransportRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: RequestBody;
  readonly withCredentials: boolean;
  /** After an abort the transport sends nothing more, and `send` rejects with the reason. */
  readonly signal: AbortSignal;
  /** Called with the number of body bytes that have left this device. */
  onSent(bytes: number): void;
}

export interface TransportResponse {
  readonly status: number;
  header(name: string): string | null;
  readonly text: string;
}

export interface TransportErrorOptions {
  isUnreachable: boolean;
  isPermanent?: boolean;
  isUnknownHost?: boolean;
  detail?: string;
  cause?: unknown;
}

/** The connection failed before there was a response. */
export class TransportError extends Error {
  /** No connection could be established. */
  readonly isUnreachable: boolean;
  /** A retry cannot help, as with a certificate that nobody trusts. */
  readonly isPermanent: boolean;
  /** The host name has no address: more likely a typing error than a network that will be back. */
  readonly isUnknownHost: boolean;
  /** What went wrong, in a sentence for people, if the platform tells. */
  readonly detail: string | undefined;

  constructor(message: string, options: TransportErrorOptions) {
    super(message, { cause: options.cause });
    this.isUnreachable = options.isUnreachable;
    this.isPermanent = options.isPermanent ?? false;
    this.isUnknownHost = options.isUnknownHost ?? false;
    this.detail = options.detail;
  }
}

/** Sends one request and reads the whole response. Does not follow redirects. The caller sets time limits. */
export interface Transport {
  /** @throws TransportError, an error of the body's `read`, or the reason of the signal */
  send(request: TransportRequest): Promise<TransportResponse>;
}

/** Mutual exclusion by name, between all tabs or processes that share the resume store. */
export interface Locks {
  /**
   * Resolves to a release function. The lock is also released when its holder dies.
   *
   * @param onWaiting called when another tab or process holds the lock
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

/** Channels between all tabs or handles that share the locks. They carry the progress of a lock's holder. */
export interface Channels {
  /** Undefined when the platform offers no channels. */
  open(name: string): Channel | undefined;
}

export interface PlatformEnvironment {
  /** False only when the device reports no network. */
  isOnline(): boolean;
  /**
   * Calls the listener when the network came back or changed, or the page became visible: a good time to retry. Returns a function that
   * unsubscribes.
   */
  onWake(listener: () => void): () => void;
  /**
   * Calls the listener when the network was lost, came back or changed: open connections may be dead. Returns a function that unsubscribes.
   */
  onNetworkChange(listener: () => void): () => void;
  /** Keeps the screen on, and asks before the page is closed, while an upload runs. Returns a function that ends both. */
  guardPage(options: { keepAwake: boolean; confirmLeaving: boolean }): () => void;
}

export interface ChunkLimits {
  readonly startBytes: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  /** The platform streams bodies, so one body may carry the whole rest of a file. */
  readonly wholeBody: boolean;
}

export interface Platform {
  readonly transport: Transport;
  readonly store: ResumeStore;
  readonly locks: Locks;
  readonly channels: Channels;
  readonly environment: PlatformEnvironment;
  readonly chunks: ChunkLimits;
  readonly budgetMs: number;
  /** Base of a relative endpoint. */
  readonly baseUrl: string | undefined;
  /** Continues a CRC-32; `previous` is 0 for the first bytes. */
  crc32(bytes: Uint8Array, previous: number): number;
  /** Called between pieces of long work, so that the page can draw and react. Undefined when there is no page. */
  readonly yieldToPage: (() => Promise<void>) | undefined;
}
