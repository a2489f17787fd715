// Names of files as people read them, in whatever script, on a page of whatever direction.
import { h } from './dom.ts';

/** Signs that turn the reading direction or hide would let a name pose as another one (`exe.gpj` for `jpg.exe`). */
const HIDDEN_SIGNS = /[\p{Cc}\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\p{Cs}/gu;
/** Persian, Sinhala, Malayalam and others write words with joiners between their letters (UAX 31). */
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

/** An extension, with the few signs before it that tell `part 1` from `part 2`. */
const LONGEST_EXTENSION = 12;
const LONGEST_TAIL = 12;
/** Letters of these join or stack: cut between two they would look like others. */
const JOINING = /[\p{Script=Arabic}\p{Script=Syriac}\p{Script=Nko}\p{Script=Mongolian}\p{Script=Adlam}\p{M}\u200d]/u;
const WORD_BEGINS = /[\s_.()[\]–-](?=[^\s_.()[\]–-])/gu;

/** Where the end of a name begins that stays in sight when the rest is cut. */
export function tailStart(name: string): number {
  const dot = name.lastIndexOf('.');
  const stem = dot > 0 && name.length - dot <= LONGEST_EXTENSION ? dot : name.length;
  const earliest = Math.max(stem - LONGEST_TAIL, 1);
  const word = [...name.slice(0, stem).matchAll(WORD_BEGINS)].find(({ index }) => index >= earliest);
  if (word !== undefined) return word.index;
  if (JOINING.test(name)) return stem;
  const cut = Math.max(stem - LONGEST_TAIL / 2, Math.min(1, stem));
  // Not between the halves of one sign.
  return /[\udc00-\udfff]/.test(name[cut] ?? '') ? cut - 1 : cut;
}

/** Cut in its middle where there is no room for all of it: its end, with the extension, stays in sight. */
export function nameParts(name: string): HTMLElement {
  const cut = tailStart(name);
  const parts = [h('span', { class: 'stem' }, name.slice(0, cut)), h('span', { class: 'tail' }, name.slice(cut))];
  // By its own direction, whatever the page's: else a cut takes the beginning, and the extension comes first.
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

/** For a name within a sentence: neither turns the other around. */
export function isolated(name: string): string {
  return `\u2068${name}\u2069`;
}
