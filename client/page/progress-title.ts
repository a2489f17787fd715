import type { QueueSnapshot } from '../handle/queue-snapshot.ts';

/** Shows the progress in the title of the tab, where it is visible from other tabs. */
export function showProgressInTitle(element: EventTarget): void {
  const title = document.title;
  element.addEventListener('landfall-progress', (event) => {
    const { sent, size, isIdle } = (event as CustomEvent<QueueSnapshot>).detail;
    const percent = size > 0 ? Math.floor(Math.min(sent / size, 0.99) * 100) : 0;
    const text = isIdle ? title : `${percent}% · ${title}`;
    if (document.title !== text) document.title = text;
  });
}
