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
  /** Aborted, with the exit code as its reason, when the run is to stop and leave all as it stands. */
  stopping: AbortSignal;
}

/** Uploads all of them. Resolves with the exit code; @throws TypeError for options that make no sense */
export async function run({ files, options, output, progress, stopping }: RunOptions): Promise<number> {
  const begun = performance.now();
  const queue = createQueue(options);
  const codes: number[] = [];
  let bytes = 0;
  const counts = { accepted: 0, rejected: 0, failed: 0, interrupted: 0 };
  let isUnknown = false;
  stopping.addEventListener('abort', () => queue.pause(), { once: true });
  if (stopping.aborted) queue.pause();

  const follow = async (file: string, handle: UploadHandle) => {
    const stop = sayWhatHappens(handle, file, progress);
    const end = await Promise.race([settled(handle), paused(handle, stopping)]);
    stop();
    if (end === 'paused') {
      counts.interrupted += 1;
      output.ended(file, 'interrupted', handle.snapshot.url ? { url: handle.snapshot.url } : {});
      return;
    }
    const { state, error, url } = handle.snapshot;
    if (end.status === 'fulfilled') {
      counts.accepted += 1;
      bytes += end.value.size;
      output.accepted(file, end.value);
    } else if (error !== undefined) {
      const event = state === 'rejected' ? 'rejected' : 'failed';
      counts[event] += 1;
      codes.push(exitCodeOf(error));
      progress.complain(`${printable(file)}: ${error.message}`);
      isUnknown ||= error.code === 'ERR_UNAUTHORIZED';
      output.ended(file, event, url ? { error, url } : { error });
    }
  };

  const followed = files.map((file) => follow(file, queue.add(file)));
  const stopShowing = queue.subscribe((snapshot) => progress.update(snapshot));
  await Promise.all(followed);
  stopShowing();
  progress.stop();
  if (isUnknown) progress.complain('What the server knows you by goes into LANDFALL_TOKEN, or into a file that --token-file names.');
  const exitCode = stopping.aborted && counts.interrupted > 0 ? Number(stopping.reason) : combinedExitCode(codes);
  const ms = performance.now() - begun;
  const some = files.length === 1 ? '1 file' : `${files.length} files`;
  progress.note(`${counts.accepted} of ${some} accepted, ${formatBytes(bytes)} in ${formatDuration(ms)}`);
  output.summary({ ...counts, bytes, seconds: Math.round(ms) / 1000, exitCode });
  return exitCode;
}

function settled(handle: UploadHandle) {
  return handle.done.then(
    (value) => ({ status: 'fulfilled' as const, value }),
    () => ({ status: 'rejected' as const }),
  );
}

/** Resolves when the run was told to stop and this upload stands still. */
function paused(handle: UploadHandle, stopping: AbortSignal): Promise<'paused'> {
  return new Promise((resolve) => {
    const stop = handle.subscribe(({ state }) => {
      if (state !== 'paused' || !stopping.aborted) return;
      queueMicrotask(() => stop());
      resolve('paused');
    });
  });
}

/** What someone who looks away from the screen should find on it: waits with their reason, and where an upload goes on. */
function sayWhatHappens(handle: UploadHandle, file: string, progress: Progress): () => void {
  const name = printable(file);
  let lastReason: string | undefined;
  let hasResumed = false;
  return handle.subscribe((snapshot) => {
    const { waiting, resumedFrom, size, state } = snapshot;
    if (!hasResumed && resumedFrom > 0) {
      hasResumed = true;
      progress.note(`${name}: goes on at ${percent(resumedFrom, size)}`);
    }
    if (waiting?.reason !== undefined && waiting.reason !== lastReason) progress.note(`${name}: ${describe(snapshot, Date.now())}`);
    if (state === 'uploading' || state === 'waiting') lastReason = waiting?.reason;
  });
}
