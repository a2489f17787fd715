import { realpathSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { formatBytes, formatDuration } from '../../shared/units.ts';
import type { UploadHandle } from '../handle/snapshot.ts';
import { createQueue } from '../node.ts';
import type { QueueOptions } from '../options.ts';
import { describe, percent, printable } from './describe.ts';
import { combinedExitCode, exitCodeOf } from './exit-code.ts';
import type { Output } from './output.ts';
import type { Progress } from './progress.ts';

export interface RunOptions {
  files: readonly string[];
  options: QueueOptions;
  output: Output;
  progress: Progress;
  /** Aborted, with the exit code as reason, to pause all uploads and end the run. */
  stopping: AbortSignal;
}

/** Uploads all files and resolves to the exit code. @throws TypeError for invalid options */
export async function run({ files, options, output, progress, stopping }: RunOptions): Promise<number> {
  const startedAt = performance.now();
  const queue = createQueue(options);
  const codes: number[] = [];
  let bytes = 0;
  const counts = { accepted: 0, rejected: 0, failed: 0, interrupted: 0 };
  let isUnauthorized = false;
  stopping.addEventListener('abort', () => queue.pause(), { once: true });
  if (stopping.aborted) queue.pause();

  const track = async ([file = '', ...copies]: string[], handle: UploadHandle) => {
    const stop = reportEvents(handle, file, progress);
    const outcome = await Promise.race([whenSettled(handle), whenPaused(handle, stopping)]);
    stop();
    const { state, error, url } = handle.snapshot;
    const each = (print: (file: string) => void) => [file, ...copies].forEach(print);
    const count = 1 + copies.length;
    if (outcome === 'paused') {
      counts.interrupted += count;
      each((name) => output.ended(name, 'interrupted', url ? { url } : {}));
    } else if (outcome.status === 'fulfilled') {
      const { value } = outcome;
      counts.accepted += count;
      bytes += value.size;
      each((name) => output.accepted(name, value));
    } else if (error !== undefined) {
      const event = state === 'rejected' ? 'rejected' : 'failed';
      counts[event] += count;
      codes.push(exitCodeOf(error));
      progress.error(`${printable(file)}: ${error.message}`);
      isUnauthorized ||= error.code === 'ERR_UNAUTHORIZED';
      each((name) => output.ended(name, event, url ? { error, url } : { error }));
    }
  };

  const tracked = [...groupSameFiles(files)].map((same) => track(same, queue.add(same[0])));
  const stopShowing = queue.subscribe((snapshot) => progress.update(snapshot));
  await Promise.all(tracked);
  stopShowing();
  progress.stop();
  if (isUnauthorized) progress.error('Set your access token in LANDFALL_TOKEN, or name a file that holds it with --token-file.');
  const exitCode = stopping.aborted && counts.interrupted > 0 ? Number(stopping.reason) : combinedExitCode(codes);
  const ms = performance.now() - startedAt;
  const total = files.length === 1 ? '1 file' : `${files.length} files`;
  progress.info(`${counts.accepted} of ${total} accepted, ${formatBytes(bytes)} in ${formatDuration(ms)}`);
  output.summary({ ...counts, bytes, seconds: Math.round(ms) / 1000, exitCode });
  return exitCode;
}

/**
 * Groups arguments that name one file under one name, such as `a.txt` and `./a.txt`: the file is sent once and has a result for each
 * argument. A link with another name is another file for the server.
 */
function groupSameFiles(files: readonly string[]): Iterable<[string, ...string[]]> {
  const groups = new Map<string, [string, ...string[]]>();
  for (const file of files) {
    const path = resolve(file);
    const key = JSON.stringify([realPath(path), basename(path)]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [file]);
    else group.push(file);
  }
  return groups.values();
}

/** The path itself when nothing is there, which opening it reports later. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function whenSettled(handle: UploadHandle) {
  return handle.done.then(
    (value) => ({ status: 'fulfilled' as const, value }),
    () => ({ status: 'rejected' as const }),
  );
}

/** Resolves when the run is stopping and this upload is paused. */
function whenPaused(handle: UploadHandle, stopping: AbortSignal): Promise<'paused'> {
  return new Promise((resolve) => {
    const stop = handle.subscribe(({ state }) => {
      if (state !== 'paused' || !stopping.aborted) return;
      queueMicrotask(() => stop());
      resolve('paused');
    });
  });
}

/** Prints events that the user should find later: why an upload waits, and from where it resumed. */
function reportEvents(handle: UploadHandle, file: string, progress: Progress): () => void {
  const name = printable(file);
  let lastReason: string | undefined;
  let hasResumed = false;
  return handle.subscribe((snapshot) => {
    const { waiting, resumedFrom, size, state } = snapshot;
    if (!hasResumed && resumedFrom > 0) {
      hasResumed = true;
      progress.info(`${name}: resuming at ${percent(resumedFrom, size)}`);
    }
    if (waiting?.reason !== undefined && waiting.reason !== lastReason) progress.info(`${name}: ${describe(snapshot, Date.now())}`);
    if (state === 'uploading' || state === 'waiting') lastReason = waiting?.reason;
  });
}
