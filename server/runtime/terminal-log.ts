// Formats log lines for a person at a terminal. Elsewhere the log is JSON, one object a line, for log collectors.
import { inspect } from 'node:util';

const LEVELS: Readonly<Record<number, string>> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'WARN', 50: 'ERROR', 60: 'FATAL' };

/** Formats a line of the JSON log as text: time, level, message and fields. */
export function formatLogLine(line: string): string {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(line);
  } catch {
    return line;
  }
  const { level, time, msg, err, pid: _, hostname: __, ...parts } = entry;
  const clock = new Date(Number(time)).toTimeString().slice(0, 8);
  const rest = Object.entries(parts).map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const text = [clock, (LEVELS[Number(level)] ?? String(level)).padEnd(5), msg, ...rest].join(' ');
  return `${printable(text)}${err === undefined ? '' : faultText(err)}\n`;
}

/** File names come from strangers: a control character must not move a terminal's cursor or start a new line. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, '\ufffd');
}

function faultText(err: unknown): string {
  const { stack } = (err ?? {}) as { stack?: unknown };
  const lines = typeof stack === 'string' ? stack : inspect(err);
  return lines
    .split('\n')
    .map((line) => `\n         ${printable(line)}`)
    .join('');
}

/** A destination for pino that writes readable lines. */
export function terminalLog(write: (text: string) => unknown): { write(line: string): void } {
  return { write: (line) => void write(formatLogLine(line)) };
}
