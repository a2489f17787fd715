// How far V8's heap grows before it is collected.
//
// V8 doubles its space for new objects after a collection that found much of it alive, up to 32 MiB and more in each half. A
// thousand slow uploads cause this growth, since each allocates a few objects that live for a second; the process then keeps
// 75 MiB that it does not need.
//
// V8 lets the space for old objects grow to twice its live objects and more. The objects that wait for a slow upload's next bytes live
// long enough to get old, and then they are garbage: with 4,000 slow uploads 35 MiB. So a large heap grows by a fifth. A small heap
// grows by more, because a fifth of it is full soon: with many small files it was collected five times a second, which took a tenth of
// the processor time.
import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

const MIB = 1024 * 1024;
/** Size of both halves of the space for new objects. */
const YOUNG_BYTES = 16 * MIB;
/** The space for old objects is collected when it has grown by this share of what was alive, or by `OLD_GROWTH_BYTES`. */
const OLD_GROWTH_PERCENT = 20;
const OLD_GROWTH_BYTES = 32 * MIB;

/**
 * For new objects, has the effect of `node --max-semi-space-size=8` in a process that was started without it: V8 reads that flag once,
 * and the growth factor before each growth. For old objects, sets `--heap-growing-percent`, which V8 reads at each collection. It
 * applies to the whole process, worker threads included, so only the owner of the process may call this.
 */
export function boundHeapGrowth(): void {
  let factor = 2;
  let percent = 0;
  function look(): void {
    const spaces = getHeapSpaceStatistics();
    const young = spaces.find(({ space_name }) => space_name === 'new_space')?.space_size ?? 0;
    const old = spaces.find(({ space_name }) => space_name === 'old_space')?.space_used_size ?? 0;
    const nextFactor = young < YOUNG_BYTES ? 2 : 1;
    if (nextFactor !== factor) setFlagsFromString(`--semi-space-growth-factor=${nextFactor}`);
    factor = nextFactor;
    const nextPercent = Math.max(OLD_GROWTH_PERCENT, Math.round((100 * OLD_GROWTH_BYTES) / Math.max(old, MIB)));
    if (nextPercent !== percent) setFlagsFromString(`--heap-growing-percent=${nextPercent}`);
    percent = nextPercent;
  }
  look();
  // The spaces grow only after a collection.
  new PerformanceObserver(look).observe({ entryTypes: ['gc'] });
}
