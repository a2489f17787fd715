// How far V8's heap grows before it is collected.
//
// V8 doubles its space for new objects after a collection that found much of it alive, up to 32 MiB and more in each half. A
// thousand slow uploads cause this growth, since each allocates a few objects that live for a second; the process then keeps
// 75 MiB that it does not need.
//
// V8 lets the space for old objects grow to twice its live objects and more. The objects that wait for a slow upload's next bytes live
// long enough to get old, and then they are garbage: with 4,000 slow uploads 35 MiB.
//
// Many small files a second make much garbage at once, of which little lives on, and narrow bounds then cost a tenth of their speed. So
// the bounds are wide while verdicts come fast and few objects are alive, and narrow otherwise. Narrower than these they must not be:
// with a growth of 15 %, V8 collects the objects of ten thousand slow uploads without a pause.
//
// Eight seconds after the last work, V8 collects once more, to save memory. Such a collection also frees the hidden classes that no
// object has at that moment, and with them the optimized code of some hundred functions. The next 3,000 small files then take one and a
// half times as long. So that collection must not save memory if verdicts came fast a short time ago, unless there is much to give back.
import { constants, type NodeGCPerformanceDetail, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, getHeapStatistics, setFlagsFromString } from 'node:v8';

const MIB = 1024 * 1024;

interface Bounds {
  /** Size of both halves of the space for new objects. */
  youngBytes: number;
  /** The space for old objects is collected when it has grown by this. */
  oldPercent: number;
}

const NARROW: Bounds = { youngBytes: 16 * MIB, oldPercent: 20 };
const WIDE: Bounds = { youngBytes: 32 * MIB, oldPercent: 200 };
/** The number of verdicts in an interval from which the bounds are wide: a hundred a second. */
const FAST = 20;
const INTERVAL_MS = 200;
/** With more objects alive after a collection, the bounds are narrow. */
const FEW_BYTES = 64 * MIB;
/** V8 keeps its code if verdicts came fast in this time, and if its heap is smaller than this. */
const KEEP_CODE_MS = 60_000;
const SMALL_HEAP_BYTES = 160 * MIB;
/** The V8 of Node 24. Others do not have the flag, and print an error. */
const CAN_KEEP_CODE = process.versions.v8.startsWith('13.');

let verdicts = 0;

/** Call for each verdict. Without `boundHeapGrowth`, as in an embedded server, it has no effect. */
export function countVerdict(): void {
  verdicts += 1;
}

/**
 * Sets V8's flags `--heap-growing-percent` and `--semi-space-growth-factor`, which V8 reads before each growth, and
 * `--memory-reducer-favors-memory`, which it reads before the collection of an idle process. They apply to the whole process, worker
 * threads included, so only the owner of the process may call this.
 */
export function boundHeapGrowth(): void {
  let bounds: Bounds | undefined;
  let isGrowing: boolean | undefined;
  let liveBytes = 0;
  let lastFastAt = Number.NEGATIVE_INFINITY;
  let keepsCode = false;
  function choose(): void {
    const isFast = verdicts >= FAST;
    verdicts = 0;
    if (isFast) lastFastAt = performance.now();
    const chosen = isFast && liveBytes < FEW_BYTES ? WIDE : NARROW;
    if (chosen !== bounds) setFlagsFromString(`--heap-growing-percent=${chosen.oldPercent}`);
    bounds = chosen;
    boundYoung(chosen);
    if (CAN_KEEP_CODE) chooseWhatToKeep();
  }
  function chooseWhatToKeep(): void {
    const keeps = performance.now() - lastFastAt < KEEP_CODE_MS && getHeapStatistics().total_heap_size < SMALL_HEAP_BYTES;
    if (keeps !== keepsCode) setFlagsFromString(keeps ? '--no-memory-reducer-favors-memory' : '--memory-reducer-favors-memory');
    keepsCode = keeps;
  }
  function boundYoung({ youngBytes }: Bounds): void {
    const young = getHeapSpaceStatistics().find((space) => space.space_name === 'new_space');
    const mayGrow = (young?.space_size ?? 0) < youngBytes;
    if (mayGrow !== isGrowing) setFlagsFromString(`--semi-space-growth-factor=${mayGrow ? 2 : 1}`);
    isGrowing = mayGrow;
  }
  choose();
  setInterval(choose, INTERVAL_MS).unref();
  // The space for new objects grows only after a collection.
  new PerformanceObserver((list) => {
    if (list.getEntries().some(isMajor)) liveBytes = getHeapStatistics().used_heap_size;
    if (bounds !== undefined) boundYoung(bounds);
  }).observe({ entryTypes: ['gc'] });
}

function isMajor(entry: PerformanceEntry & { detail?: unknown }): boolean {
  return (entry.detail as NodeGCPerformanceDetail | undefined)?.kind === constants.NODE_PERFORMANCE_GC_MAJOR;
}
