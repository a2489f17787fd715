// Creates elements without parsing HTML, because names, details and titles come from untrusted sources.

export type Child = Node | string | null | undefined | false;

export interface Properties {
  class?: string;
  part?: string;
  on?: Readonly<Record<string, (event: Event) => void>>;
  attributes?: Readonly<Record<string, string | number | boolean>>;
}

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Properties = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (properties.class) element.className = properties.class;
  if (properties.part) element.setAttribute('part', properties.part);
  for (const [name, value] of Object.entries(properties.attributes ?? {})) {
    if (value === true) element.setAttribute(name, '');
    else if (value !== false) element.setAttribute(name, String(value));
  }
  for (const [type, listener] of Object.entries(properties.on ?? {})) element.addEventListener(type, listener);
  for (const child of children) if (child) element.append(child);
  return element;
}

const SVG = 'http://www.w3.org/2000/svg';

export function s(tag: string, attributes: Readonly<Record<string, string | number>>, ...children: Node[]): SVGElement {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** Whether the element itself has the focus, also inside a shadow root. */
export function isFocused(element: HTMLElement): boolean {
  const root = element.getRootNode();
  return (root instanceof ShadowRoot || root instanceof Document) && root.activeElement === element;
}

/** Writes only a different text: rewriting the same text costs layout and makes some screen readers repeat it. */
export function setText(node: HTMLElement, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node: Element, name: string, value: string | null): void {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/**
 * Shows short texts next to each other, each in a span of its own. Reuses existing spans. Each text has its own direction, which may
 * differ from the page's.
 */
export function setFacts(list: HTMLElement, facts: readonly string[], from = 0): void {
  while (list.children.length > facts.length + from) list.lastElementChild?.remove();
  for (const [index, fact] of facts.entries()) {
    const known = list.children[index + from]?.firstChild;
    if (known instanceof HTMLElement) setText(known, fact);
    else list.append(h('span', { class: 'fact' }, h('bdi', {}, fact)));
  }
}
