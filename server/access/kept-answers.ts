/** A cache of answers that expire. When it is full, the least recently used answer is dropped. */
export class KeptAnswers<Answer> {
  readonly #max: number;
  /** In the order of their last use. */
  readonly #kept = new Map<string, { answer: Answer; untilMs: number }>();

  constructor(max: number) {
    this.#max = max;
  }

  get(key: string): Answer | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    this.#kept.delete(key);
    if (kept.untilMs <= performance.now()) return undefined;
    this.#kept.set(key, kept);
    return kept.answer;
  }

  keep(key: string, answer: Answer, forMs: number): void {
    this.#kept.delete(key);
    if (forMs <= 0) return;
    this.#kept.set(key, { answer, untilMs: performance.now() + forMs });
    if (this.#kept.size <= this.#max) return;
    const [longestUnused = ''] = this.#kept.keys();
    this.#kept.delete(longestUnused);
  }
}
