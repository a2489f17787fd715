import type { UploadQueue, UploadSnapshot, UploadSource } from 'landfall';
import { useLandfall } from 'landfall/react';
import type { ReactElement } from 'react';

const WORDS: Readonly<Record<UploadSnapshot['state'], string>> = {
  queued: 'Waiting for its turn',
  preparing: 'Starting',
  uploading: 'Uploading',
  waiting: 'Waiting for the network',
  paused: 'Paused',
  inspecting: 'Checking the file',
  accepted: 'Upload complete',
  rejected: 'Refused',
  failed: 'Failed',
  cancelled: 'Cancelled',
};

export function Uploads({ endpoint }: { endpoint: string }): ReactElement {
  const { uploads, sent, size, isPaused, isIdle, queue } = useLandfall({ endpoint, concurrency: 2 });
  return (
    <main>
      <label>
        Choose files
        <input
          type="file"
          multiple
          onChange={({ target }) => {
            for (const file of target.files ?? []) queue.add(file);
            target.value = '';
          }}
        />
      </label>
      <button type="button" disabled={isIdle} onClick={() => (isPaused ? queue.resume() : queue.pause())}>
        {isPaused ? 'Resume all' : 'Pause all'}
      </button>
      <progress aria-label="All files" value={sent} max={size || 1} />
      <ul>
        {uploads.map((upload) => (
          <Row key={upload.id} upload={upload} queue={queue} />
        ))}
      </ul>
    </main>
  );
}

function Row({ upload, queue }: { upload: UploadSnapshot; queue: UploadQueue<UploadSource> }) {
  const { id, name, state, sent, size, error } = upload;
  const handle = queue.get(id);
  const isRunning = state === 'uploading' || state === 'waiting' || state === 'preparing' || state === 'queued';
  return (
    <li>
      {name}: {WORDS[state]} <progress aria-label={name} value={sent} max={size || 1} />
      {isRunning && (
        <button type="button" onClick={() => handle?.pause()}>
          Pause
        </button>
      )}
      {state === 'paused' && (
        <button type="button" onClick={() => handle?.resume()}>
          Resume
        </button>
      )}
      {state === 'failed' && (
        <button type="button" onClick={() => queue.retry(id)}>
          Retry
        </button>
      )}
      {(state === 'rejected' || state === 'failed') && <p role="alert">{error.message}</p>}
    </li>
  );
}
