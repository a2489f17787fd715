// Repeatable chance: all random choices of a test follow from one number, which the test prints.

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** From 0 to 1, without 1: mulberry32. */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    const state = this.#state;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number, both bounds included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.fraction() * (most - least + 1));
  }

  /** True with this probability. */
  happens(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** @param choices at least one */
  pick<T>(choices: readonly T[]): T {
    return choices[this.between(0, choices.length - 1)] as T;
  }
}

/** The same each time for the same seed. */
export function randomFrom(seed: number): Random {
  return new Random(seed);
}

/** Another seed in each run, unless `LANDFALL_TEST_SEED` repeats an earlier run. */
export function testSeed(): number {
  const { LANDFALL_TEST_SEED } = process.env;
  return LANDFALL_TEST_SEED ? Number(LANDFALL_TEST_SEED) : Math.floor(Math.random() * 2 ** 31);
}
