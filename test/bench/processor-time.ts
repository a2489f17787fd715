// The cost of a server, from the operating system's own accounting: every process and thread of its process group, and
// the children it has reaped.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** Linux counts in hundredths of a second for every reader of /proc, whatever the kernel's own tick (USER_HZ). */
const TICKS_PER_SECOND = 100;

/** Processor seconds, user and system, of a process group so far. proc_pid_stat(5). */
export function processorSeconds(group: number): number {
  let ticks = 0;
  for (const { stat } of members(group)) {
    // utime, stime, cutime, cstime.
    for (const field of stat.slice(11, 15)) ticks += Number(field);
  }
  return ticks / TICKS_PER_SECOND;
}

/** Starts the measurement that `peakBytes` ends. */
export function forgetPeak(group: number): void {
  for (const { pid } of members(group)) writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** The most resident memory since `forgetPeak`, added up over the group. */
export function peakBytes(group: number): number {
  let bytes = 0;
  for (const { pid } of members(group)) {
    const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    bytes += Number(kibibytes ?? 0) * 1024;
  }
  return bytes;
}

/** The start of a process in the kernel's ticks since boot, unique together with its pid. Undefined: no such process. */
export function startTime(pid: number): string | undefined {
  return statFields(readIfThere(`/proc/${pid}/stat`))[19];
}

interface Member {
  pid: string;
  /** The fields from the third on: the name before them may contain any character. */
  stat: string[];
}

function members(group: number): Member[] {
  const found: Member[] = [];
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const stat = statFields(readIfThere(`/proc/${pid}/stat`));
    if (Number(stat[2]) === group) found.push({ pid, stat });
  }
  return found;
}

function statFields(text: string): string[] {
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** Reads a file of /proc, or returns '' when the process ended after it was listed. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
