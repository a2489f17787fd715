// How far V8's heap grows before it is collected. Both bounds cost no measurable processor time.
//
// V8 doubles its space for new objects after a collection that found much of it alive, up to 32 MiB and more in each half. A
// thousand slow uploads cause this growth, since each allocates a few objects that live for a second; the process then keeps
// 75 MiB that it does not need.
//
// V8 lets the space for old objects grow to twice its live objects and more. The objects that wait for a slow upload's next bytes live
// long enough to get old, and then they are garbage: with 4,000 slow uploads 35 MiB.
import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** Size of both halves of the space for new objects. */
const ENOUGH_BYTES = 16 * 1024 * 1024;
/** The space for old objects is collected when it has grown by this. */
const OLD_GROWTH_PERCENT = 20;

/**
 * For new objects, has the effect of `node --max-semi-space-size=8` in a process that was started without it: V8 reads that flag once,
 * and the growth factor before each growth. For old objects, has the effect of `--heap-growing-percent=20`. It applies to the whole
 * process, worker threads included, so only the owner of the process may call this.
 */
export function boundHeapGrowth(): void {
  setFlagsFromString(`--heap-growing-percent=${OLD_GROWTH_PERCENT}`);
  let isGrowing = true;
  function look(): void {
    const young = getHeapSpaceStatistics().find((space) => space.space_name === 'new_space');
    const mayGrow = (young?.space_size ?? 0) < ENOUGH_BYTES;
    if (mayGrow !== isGrowing) setFlagsFromString(`--semi-space-growth-factor=${mayGrow ? 2 : 1}`);
    isGrowing = mayGrow;
  }
  look();
  // The space grows only after a collection.
  new PerformanceObserver(look).observe({ entryTypes: ['gc'] });
}
