// V8 doubles the space for new objects after a collection that found much of it alive, up to 32 MiB and more in each half. A
// thousand slow uploads make it do so, each bringing a few objects at a time that live for a second, and the process keeps
// 75 MiB that it does not need. Half the space costs no processor time that could be measured.
import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** Both halves together. */
const ENOUGH_BYTES = 16 * 1024 * 1024;

/**
 * As `node --max-semi-space-size=8` does, for a process that was started without: that flag is read once, this one before each
 * growth. It is one for the whole process, worker threads included, so it belongs to who owns that.
 */
export function boundYoungGeneration(): void {
  let isGrowing = true;
  function look(): void {
    const young = getHeapSpaceStatistics().find((space) => space.space_name === 'new_space');
    const mayGrow = (young?.space_size ?? 0) < ENOUGH_BYTES;
    if (mayGrow !== isGrowing) setFlagsFromString(`--semi-space-growth-factor=${mayGrow ? 2 : 1}`);
    isGrowing = mayGrow;
  }
  look();
  // After each collection: there is no growth without one.
  new PerformanceObserver(look).observe({ entryTypes: ['gc'] });
}
