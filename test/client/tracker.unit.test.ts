import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Tracker } from '../../client/handle/tracker.ts';

const SECOND = 1_000_000;

beforeEach(() => vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'] }));
afterEach(() => vi.useRealTimers());

/** Sends bytes at 1 MB a second. */
function sendFor(tracker: Tracker, seconds: number): void {
  const { sent } = tracker.snapshot;
  for (let ms = 100; ms <= seconds * 1000; ms += 100) {
    vi.advanceTimersByTime(100);
    tracker.bytesSent(sent + (ms / 1000) * SECOND);
  }
  vi.advanceTimersByTime(100);
}

function underWay(): Tracker {
  const tracker = new Tracker('a', 'film.mp4', 100 * SECOND, 'preparing');
  tracker.confirm(0, true);
  tracker.transition({ state: 'uploading' });
  sendFor(tracker, 5);
  tracker.confirm(5 * SECOND, false);
  return tracker;
}

test('the speed does not count time spent waiting', () => {
  const tracker = underWay();
  tracker.transition({ state: 'waiting', waiting: { reason: 'offline' } });
  vi.advanceTimersByTime(60_000);
  tracker.transition({ state: 'preparing' });
  tracker.confirm(5 * SECOND, false);
  tracker.transition({ state: 'uploading' });
  sendFor(tracker, 0.6);
  expect(tracker.snapshot.bytesPerSecond).toBeGreaterThan(0.8 * SECOND);
});

test('the tracker reports the time left only once the speed has settled', () => {
  const tracker = new Tracker('a', 'film.mp4', 100 * SECOND, 'preparing');
  tracker.confirm(0, true);
  tracker.transition({ state: 'uploading' });
  sendFor(tracker, 1);
  expect(tracker.snapshot.etaSeconds).toBeNull();
  sendFor(tracker, 4);
  expect(tracker.snapshot.etaSeconds).toBeGreaterThan(80);
  expect(tracker.snapshot.etaSeconds).toBeLessThan(110);
});

test('the tracker reports no time left once all bytes are sent', () => {
  const tracker = underWay();
  tracker.bytesSent(100 * SECOND);
  vi.advanceTimersByTime(1000);
  expect(tracker.snapshot.etaSeconds).toBeNull();
});

test('bytes that another tab sent before its first report do not count as speed', () => {
  const tracker = new Tracker('a', 'film.mp4', 100 * SECOND, 'preparing');
  tracker.transition({ state: 'waiting', waiting: { reason: 'elsewhere' } });
  vi.advanceTimersByTime(100);
  tracker.showShared({ sent: 50 * SECOND, confirmed: 50 * SECOND, url: 'http://host/files/1' });
  vi.advanceTimersByTime(500);
  tracker.showShared({ sent: 50.5 * SECOND, confirmed: 50 * SECOND, url: 'http://host/files/1' });
  vi.advanceTimersByTime(200);
  expect(tracker.snapshot.bytesPerSecond).toBeLessThan(2 * SECOND);
});
