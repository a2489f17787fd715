import { s } from './dom.ts';

/** Strokes on a 20 × 20 grid. */
const PATHS = {
  pause: 'M7 5v10M13 5v10',
  resume: 'M7 4.8v10.4a.4.4 0 0 0 .6.35l8.4-5.2a.4.4 0 0 0 0-.7L7.6 4.45a.4.4 0 0 0-.6.35Z',
  cancel: 'm5.5 5.5 9 9m0-9-9 9',
  retry: 'M15.8 8.2A6.2 6.2 0 1 0 16 11.6M16 4v4.2h-4.2',
  download: 'M10 4v8m-3.4-3.2L10 12.2l3.4-3.4M4.5 15.8h11',
  upload: 'M10 13V5M6.6 8.2 10 4.8l3.4 3.4M4.5 15.8h11',
  folder: 'M3.5 6.2a1.2 1.2 0 0 1 1.2-1.2h3.1l1.7 2h5.8a1.2 1.2 0 0 1 1.2 1.2v5.6a1.2 1.2 0 0 1-1.2 1.2H4.7a1.2 1.2 0 0 1-1.2-1.2Z',
  accepted: 'm5 10.6 3.4 3.4L15.2 6.6',
  refused: 'M10 5.4v5.6m0 3.2v.1',
  link: 'M8.6 11.4a2.9 2.9 0 0 0 4.1 0l2.8-2.8a2.9 2.9 0 0 0-4.1-4.1l-1 1m1 3.1a2.9 2.9 0 0 0-4.1 0l-2.8 2.8a2.9 2.9 0 0 0 4.1 4.1l1-1',
  undo: 'M4.4 8.2h7.2a3.8 3.8 0 0 1 0 7.6H8M4.4 8.2l3-3m-3 3 3 3',
  history: 'M4.2 8.2A6.2 6.2 0 1 1 4 11.4M4 4v4.2h4.2M10 6.8V10l2.4 1.6',
} as const;

export type IconName = keyof typeof PATHS;

/** Hidden from screen readers: the element that contains it has a text or a label. */
export function icon(name: IconName): SVGElement {
  return s(
    'svg',
    { viewBox: '0 0 20 20', class: 'icon', 'aria-hidden': 'true', focusable: 'false' },
    s('path', { d: PATHS[name], ...(name === 'resume' ? { class: 'solid' } : {}) }),
  );
}
