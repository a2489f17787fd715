import { h, setAttribute, setText } from '../dom.ts';
import { icon } from '../icons.ts';
import type { Language } from '../language.ts';
import { copyLinks, SAID_FOR_MS } from '../links.ts';
import { Row } from '../list/row.ts';
import { type Action, arrivedView } from '../list/view.ts';
import { type Arrival, arrivalsAt, dropArrival } from './arrivals.ts';

export interface ArrivedHost {
  readonly language: Language;
  say(message: string): void;
  onChange(): void;
  /** The last one went, and the focus with it. */
  onEmptied(): void;
}

/** What earlier visits uploaded: its links, to copy and to download from. */
export class Arrived {
  readonly element: HTMLElement;
  readonly #host: ArrivedHost;
  readonly #title = h('span', {});
  readonly #rows = h('ul', { class: 'rows', attributes: { role: 'list' } });
  readonly #copyAll: HTMLButtonElement;
  readonly #clear: HTMLButtonElement;
  #entries: { arrival: Arrival; row: Row }[] = [];
  #loadedFor = '';

  constructor(host: ArrivedHost) {
    this.#host = host;
    const button = (look: string, act: () => void) => h('button', { class: look, attributes: { type: 'button' }, on: { click: act } });
    this.#copyAll = button('outlined', () => void this.#copy(this.#entries.map(({ arrival }) => arrival.url)));
    this.#clear = button('quiet', () => this.#drop(this.#entries.map(({ arrival }) => arrival)));
    this.element = h(
      'section',
      { class: 'arrived panel', part: 'arrived', attributes: { hidden: true } },
      h('header', {}, h('h2', {}, icon('history'), this.#title), h('div', { class: 'choices' }, this.#copyAll, this.#clear)),
      this.#rows,
    );
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** Once for an endpoint: what arrives later in this visit is in the list already. */
  load(endpoint: string): void {
    if (this.#loadedFor === endpoint) return;
    this.#loadedFor = endpoint;
    this.#entries = arrivalsAt(endpoint).map((arrival) => ({
      arrival,
      row: new Row({ name: arrival.name, onAction: (action) => this.#act(arrival, action) }),
    }));
    this.#rows.replaceChildren(...this.#entries.map(({ row }) => row.element));
    this.show();
    this.#host.onChange();
  }

  show(): void {
    const { language } = this.#host;
    const { strings } = language;
    this.element.hidden = this.isEmpty;
    setText(this.#title, strings.arrivedTitle);
    setAttribute(this.element, 'aria-label', strings.arrivedTitle);
    setText(this.#copyAll, strings.copyAll);
    this.#copyAll.hidden = this.#entries.length < 2;
    setText(this.#clear, strings.clearArrived);
    for (const { arrival, row } of this.#entries) row.show(arrivedView(arrival, language), language);
  }

  #act(arrival: Arrival, action: Action): void {
    if (action === 'remove') this.#drop([arrival]);
    else if (action === 'copyLink') void this.#copy([arrival.url], arrival);
  }

  async #copy(urls: readonly string[], arrival?: Arrival): Promise<void> {
    const said = await copyLinks(urls, this.#host.language, this.#host.say);
    if (arrival !== undefined) this.#entries.find((entry) => entry.arrival === arrival)?.row.showCopied(said, this.#host.language);
    else {
      setText(this.#copyAll, said);
      setTimeout(() => this.show(), SAID_FOR_MS);
    }
  }

  #drop(arrivals: readonly Arrival[]): void {
    for (const { id } of arrivals) dropArrival(id);
    const first = this.#entries.findIndex(({ arrival }) => arrivals.includes(arrival));
    for (const { arrival, row } of this.#entries) if (arrivals.includes(arrival)) row.element.remove();
    this.#entries = this.#entries.filter(({ arrival }) => !arrivals.includes(arrival));
    this.show();
    this.#host.onChange();
    if (this.isEmpty) this.#host.onEmptied();
    else this.#entries[Math.min(first, this.#entries.length - 1)]?.row.focus();
  }
}
