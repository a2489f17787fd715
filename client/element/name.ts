// Shows file names in any script, on a page of any direction.
import { h } from './dom.ts';

/** Characters that change the reading direction or are invisible, and could disguise a name (`jpg.exe` shown as `exe.gpj`). */
const HIDDEN_SIGNS = /[\p{Cc}\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\p{Cs}/gu;
/** Joiners between letters, which words in Persian, Sinhala, Malayalam and other languages need (UAX 31). */
const JOINED =
  /(?<=[^\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{Script=Han}\P{L}]\p{M}*)[\u200c\u200d](?=[^\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{Script=Han}\P{L}])/gu;
const KEPT = { '\u200c': '\ue000', '\u200d': '\ue001' } as const;

export function visibleName(name: string): string {
  return name
    .replace(/[\ue000\ue001]/g, '\u00b7')
    .replace(JOINED, (joiner) => KEPT[joiner as keyof typeof KEPT])
    .replace(HIDDEN_SIGNS, '\u00b7')
    .replace(/\ue000/g, '\u200c')
    .replace(/\ue001/g, '\u200d');
}

/** A tail is an extension and the few characters before it, which tell `part 1` from `part 2`. */
const LONGEST_EXTENSION = 12;
const LONGEST_TAIL = 12;
/** Letters of these scripts join or stack, so a cut between two would change how they look. */
const JOINING = /[\p{Script=Arabic}\p{Script=Syriac}\p{Script=Nko}\p{Script=Mongolian}\p{Script=Adlam}\p{M}\u200d]/u;
const WORD_BEGINS = /[\s_.()[\]–-](?=[^\s_.()[\]–-])/gu;

/** Index of the tail, which stays visible when the rest of the name is cut. */
export function tailStart(name: string): number {
  const dot = name.lastIndexOf('.');
  const stem = dot > 0 && name.length - dot <= LONGEST_EXTENSION ? dot : name.length;
  const earliest = Math.max(stem - LONGEST_TAIL, 1);
  const word = [...name.slice(0, stem).matchAll(WORD_BEGINS)].find(({ index }) => index >= earliest);
  if (word !== undefined) return word.index;
  if (JOINING.test(name)) return stem;
  const cut = Math.max(stem - LONGEST_TAIL / 2, Math.min(1, stem));
  // Do not split a surrogate pair.
  return /[\udc00-\udfff]/.test(name[cut] ?? '') ? cut - 1 : cut;
}

/** A name that is cut in the middle when space is short, so that its end with the extension stays visible. */
export function nameParts(name: string): HTMLElement {
  const cut = tailStart(name);
  const parts = [h('span', { class: 'stem' }, name.slice(0, cut)), h('span', { class: 'tail' }, name.slice(cut))];
  // Isolated from the page's direction. Otherwise the cut would hide the beginning, and the extension would come first.
  return h('span', { class: 'name', part: 'name', attributes: { title: name } }, h('bdi', {}, ...parts));
}

export function folderOf(relativePath: string | undefined): HTMLElement | undefined {
  const cut = relativePath?.lastIndexOf('/') ?? -1;
  return relativePath && cut > 0 ? h('span', { class: 'folder' }, h('bdi', {}, visibleName(relativePath.slice(0, cut)))) : undefined;
}

export function tileFor(name: string): HTMLElement {
  const extension = /\.([a-z0-9]{1,4})$/i.exec(name)?.[1] ?? '';
  return h('span', { class: 'tile', attributes: { 'aria-hidden': 'true' } }, extension.toUpperCase());
}

/** For a name within a sentence: name and sentence keep their own directions. */
export function isolated(name: string): string {
  return `\u2068${name}\u2069`;
}
