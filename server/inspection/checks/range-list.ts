import { setImmediate } from 'node:timers/promises';

/** About ten milliseconds' work. */
const SORTED_AT_ONCE = 64 * 1024;

/**
 * Any number of byte ranges, and whether two of them overlap. If none do, the n-th smallest end is never beyond the next start,
 * whichever range they belong to: so starts and ends are sorted separately.
 */
export class RangeList {
  #starts = new Float64Array(1024);
  #ends = new Float64Array(1024);
  #count = 0;
  /** Most archives list their entries in the order of their positions. */
  #areInOrder = true;

  add(start: number, end: number): void {
    if (this.#count === this.#starts.length) {
      this.#starts = grown(this.#starts);
      this.#ends = grown(this.#ends);
    }
    if (this.#count > 0 && start < (this.#ends[this.#count - 1] ?? 0)) this.#areInOrder = false;
    this.#starts[this.#count] = start;
    this.#ends[this.#count++] = end;
  }

  async overlap(): Promise<boolean> {
    if (this.#areInOrder) return false;
    const starts = await sorted(this.#starts.subarray(0, this.#count));
    const ends = await sorted(this.#ends.subarray(0, this.#count));
    for (let index = 1; index < starts.length; index++) if ((starts[index] ?? 0) < (ends[index - 1] ?? 0)) return true;
    return false;
  }
}

function grown(values: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(values.length * 2);
  larger.set(values);
  return larger;
}

/** Sorts in pieces and merges them pairwise, so that a million values do not block other work. */
async function sorted(values: Float64Array<ArrayBuffer>): Promise<Float64Array<ArrayBuffer>> {
  for (let start = 0; start < values.length; start += SORTED_AT_ONCE) {
    values.subarray(start, start + SORTED_AT_ONCE).sort();
    await setImmediate();
  }
  let from = values;
  let to = new Float64Array(values.length);
  for (let width = SORTED_AT_ONCE; width < values.length; width *= 2) {
    for (let start = 0; start < values.length; start += 2 * width) {
      merge(from, to, start, Math.min(start + width, values.length), Math.min(start + 2 * width, values.length));
      await setImmediate();
    }
    [from, to] = [to, from];
  }
  return from;
}

function merge(from: Float64Array, to: Float64Array, start: number, middle: number, end: number): void {
  let left = start;
  let right = middle;
  for (let at = start; at < end; at++) {
    const takesLeft = right >= end || (left < middle && (from[left] ?? 0) <= (from[right] ?? 0));
    to[at] = from[takesLeft ? left++ : right++] ?? 0;
  }
}
