import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { fitColumns, percent, printable } from '../../client/cli/describe.ts';
import { combinedExitCode } from '../../client/cli/exit-code.ts';
import { LineProgress } from '../../client/cli/progress.ts';
import { linesOf, TerminalProgress } from '../../client/cli/terminal-progress.ts';
import type { QueueSnapshot } from '../../client/handle/queue-snapshot.ts';
import type { UploadSnapshot } from '../../client/handle/snapshot.ts';
import { TRANSITIONS } from '../../client/handle/states.ts';

const UPLOAD: UploadSnapshot = {
  id: 'x',
  name: 'film.mp4',
  state: 'uploading',
  sent: 5_000_000,
  confirmed: 0,
  size: 10_000_000,
  bytesPerSecond: 1_048_576,
  etaSeconds: 65,
  resumedFrom: 0,
  attempt: 1,
};

function queue(...uploads: object[]): QueueSnapshot {
  const all = uploads.map((upload) => ({ ...UPLOAD, ...upload }) as UploadSnapshot);
  const counts = Object.fromEntries(
    Object.keys(TRANSITIONS).map((state) => [state, all.filter((upload) => upload.state === state).length]),
  );
  return {
    uploads: all,
    counts: counts as QueueSnapshot['counts'],
    sent: 5_000_000,
    confirmed: 0,
    size: 10_000_000,
    bytesPerSecond: 1_048_576,
    etaSeconds: 65,
    isPaused: false,
    isIdle: false,
  };
}

describe('a name in a terminal', () => {
  test('can not move the cursor, or colour or reverse the text after it', () => {
    expect(printable('a\x1b[2Jb\x1b]0;title\x07c')).toBe('abc');
    expect(printable('inv\u202eGPJ.exe')).toBe('inv\ufffdGPJ.exe');
    expect(printable('two\nlines\r')).toBe('two\ufffdlines\ufffd');
    expect(printable('été 映画 🎬')).toBe('été 映画 🎬');
  });

  test('is cut in the middle to exactly the available width', () => {
    expect(fitColumns('film.mp4', 10)).toBe('film.mp4  ');
    expect(fitColumns('a-very-long-name-of-a-film.mp4', 11)).toHaveLength(11);
    expect(fitColumns('a-very-long-name-of-a-film.mp4', 11)).toMatch(/^a-ver….*\.mp4$/);
  });

  test('takes two columns for each wide character', () => {
    expect(fitColumns('映画', 6)).toBe('映画  ');
    expect(fitColumns('映画映画映画', 6)).toMatch(/^映…?.*$/u);
    expect(Array.from(fitColumns('映画映画映画', 7)).reduce((sum, letter) => sum + (/[映画]/.test(letter) ? 2 : 1), 0)).toBe(7);
  });
});

test('the terminal rounds percent down, so that 100 means complete', () => {
  expect([percent(999, 1000), percent(1000, 1000), percent(0, 0), percent(5, null)]).toEqual(['99 %', '100 %', '100 %', '']);
});

describe('the progress lines of a terminal', () => {
  test('are one for each file in progress and one for the total, none wider than the terminal', () => {
    const snapshot = queue({}, { state: 'queued' }, { state: 'accepted' }, { state: 'inspecting' }, { name: 'x'.repeat(300) });
    for (const columns of [40, 60, 80, 120]) {
      const lines = linesOf(snapshot, columns, 20, 0);
      expect(lines).toHaveLength(4);
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
    }
    const [first = '', , , total] = linesOf(snapshot, 100, 20, 0);
    expect(first).toMatch(/^film\.mp4 +█{10}░{10} +50 % {2}1 MiB\/s, 1 min 5 s left$/);
    expect(total).toBe('1 of 5 files, 4.8 MiB of 9.5 MiB, 50 %, 1 MiB/s, 1 min 5 s left');
  });

  test('say why an upload waits and when it tries again', () => {
    const [line] = linesOf(queue({ state: 'waiting', waiting: { reason: 'unreachable', until: 4000 } }), 100, 20, 1000);
    expect(line).toContain('the server cannot be reached, retrying in 3 s');
  });

  test('are no more than the terminal has rows', () => {
    expect(linesOf(queue({}, {}, {}, {}, {}, {}), 80, 3, 0)).toHaveLength(3);
  });

  test('are redrawn in place, and cleared at the end', async () => {
    let written = '';
    const terminal = { columns: 80, rows: 24, write: (text: string) => (written += text) };
    const progress = new TerminalProgress(terminal, { color: false });
    progress.update(queue({}));
    // The terminal was redrawn in place twice.
    await expect.poll(() => written.split('\x1b[2A\r\x1b[J').length).toBeGreaterThanOrEqual(3);
    progress.error('photo.jpg: refused');
    progress.stop();
    expect(written.split('\x1b[2A\r\x1b[J').length).toBeGreaterThanOrEqual(4);
    expect(written.split('\x1b[J').find((part) => part.includes('refused'))).toMatch(/^photo\.jpg: refused\n/);
    expect(written.endsWith('\x1b[2A\r\x1b[J')).toBe(true);
    expect(written).not.toContain('\x1b[2m');
  });
});

test('output that is no terminal gets a line of the total every ten seconds, and no control characters', () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const written: string[] = [];
  const progress = new LineProgress((text) => written.push(text));
  progress.update(queue({}));
  vi.advanceTimersByTime(9999);
  expect(written).toEqual([]);
  for (let second = 0; second < 20; second++) {
    progress.update(queue({}));
    vi.advanceTimersByTime(1000);
  }
  const line = '0 of 1 file, 4.8 MiB of 9.5 MiB, 50 %, 1 MiB/s, 1 min 5 s left\n';
  expect(written).toEqual([line, line]);
  progress.stop();
  vi.advanceTimersByTime(60_000);
  expect(written).toHaveLength(2);
});

test('failures of one kind give their own exit code, and failures of several kinds give 1', () => {
  expect(combinedExitCode([])).toBe(0);
  expect(combinedExitCode([3, 3])).toBe(3);
  expect(combinedExitCode([5])).toBe(5);
  expect(combinedExitCode([3, 5])).toBe(1);
});
