/** A cache of answers that expire. When it is full, the least recently used answer is dropped. */
export class AnswerCache<Answer> {
  readonly #max: number;
  /** In the order of their last use. */
  readonly #entries = new Map<string, { answer: Answer; untilMs: number }>();

  constructor(max: number) {
    this.#max = max;
  }

  get(key: string): Answer | undefined {
    const kept = this.#entries.get(key);
    if (kept === undefined) return undefined;
    this.#entries.delete(key);
    if (kept.untilMs <= performance.now()) return undefined;
    this.#entries.set(key, kept);
    return kept.answer;
  }

  keep(key: string, answer: Answer, forMs: number): void {
    this.#entries.delete(key);
    if (forMs <= 0) return;
    this.#entries.set(key, { answer, untilMs: performance.now() + forMs });
    if (this.#entries.size <= this.#max) return;
    const [longestUnused = ''] = this.#entries.keys();
    this.#entries.delete(longestUnused);
  }
}
