// Node allocates a new buffer of up to 64 KiB for each read of a request's body. The buffers die young, but little else is
// allocated, so V8 does not reach its cheap young collection. V8 only sees memory outside its heap growing, and marks the whole
// heap: 70 times in 2 GiB, a third of an upload's processor time. A young collection every few MiB takes a fraction of a
// millisecond and frees all of the buffers. `npm run bench -- one-patch` shows the difference.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Well below the growth at which V8 begins to mark: about 32 MiB, and half of that after idle time. With 16 MiB here, an upload after
 * a pause cost twice as much.
 */
const EVERY_BYTES = 4 * 1024 * 1024;

type Collect = (options: { type: 'minor' }) => void;

const collect = findCollector();
let bytesSince = 0;

/** Call for every received buffer. */
export function countYoungBytes(bytes: number): void {
  bytesSince += bytes;
  if (bytesSince < EVERY_BYTES) return;
  bytesSince = 0;
  collect?.({ type: 'minor' });
}

/** The `gc` function of `--expose-gc`, without giving it to all scripts. Without it, uploads only cost more. */
function findCollector(): Collect | undefined {
  try {
    setFlagsFromString('--expose-gc');
    const found: unknown = runInNewContext('gc');
    return typeof found === 'function' ? (found as Collect) : undefined;
  } catch {
    return undefined;
  } finally {
    setFlagsFromString('--no-expose-gc');
  }
}
