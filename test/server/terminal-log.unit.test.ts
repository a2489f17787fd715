import { expect, test } from 'vitest';
import { formatLogLine } from '../../server/runtime/terminal-log.ts';

const TIME = new Date(2026, 0, 2, 3, 4, 5).getTime();
const line = (entry: object) => `${JSON.stringify({ level: 30, time: TIME, pid: 1, hostname: 'h', ...entry })}\n`;

test('a log entry for a person has its time, level, message and fields', () => {
  expect(formatLogLine(line({ upload: 'ab', bytes: 5, msg: 'accepted' }))).toBe('03:04:05 info  accepted upload=ab bytes=5\n');
  expect(formatLogLine(line({ level: 50, msg: 'fault', err: { stack: 'Error: no\n    at x' } }))).toBe(
    '03:04:05 ERROR fault\n         Error: no\n             at x\n',
  );
});

test('a name from a stranger moves no cursor and starts no line', () => {
  expect(formatLogLine(line({ msg: 'refused', name: 'a\x1b[2J\nb' }))).toBe('03:04:05 info  refused name=a\ufffd[2J\ufffdb\n');
});

test('a line that is no log entry is left unchanged', () => {
  expect(formatLogLine('plain\n')).toBe('plain\n');
});
