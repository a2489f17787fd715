// Folders that servers under measurement fill with gigabytes, maybe in memory. Each names its owner, so that whoever comes
// next can tell what a dead one left behind.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { formatBytes } from '../../shared/units.ts';
import { inherit, settle } from './last-will.ts';
import { startTime } from './processor-time.ts';
import type { Device } from './scenario.ts';

const PREFIX = 'landfall-bench-';
const NAME = new RegExp(`^${PREFIX}(\\d+)-(\\d+)-`);
/** For the system, and for what servers hold in memory beside what they store. */
const SPARE_BYTES = 1024 ** 3;

const folders = new Set<string>();
process.on('exit', () => {
  for (const path of folders) rmSync(path, { recursive: true, force: true });
});

export function newFolder(device: Device): string {
  const path = mkdtempSync(join(device.path, `${PREFIX}${process.pid}-${startTime(process.pid)}-`));
  folders.add(path);
  inherit({ folder: path });
  return path;
}

export function removeFolder(path: string): void {
  rmSync(path, { recursive: true, force: true });
  folders.delete(path);
  settle({ folder: path });
}

/** What benchmarks that were killed left on a device. A number that names another process by now is told by its start. */
export function removeLeftovers(device: Device): void {
  for (const name of readdirSync(device.path)) {
    const [, pid, started] = NAME.exec(name) ?? [];
    if (pid === undefined || startTime(Number(pid)) === started) continue;
    rmSync(join(device.path, name), { recursive: true, force: true });
  }
}

/** @throws Error, a sentence, when so many bytes do not fit on the device, or into memory where that is what it is made of */
export function requireRoom(device: Device, bytes: number): void {
  const { bavail, bsize } = statfsSync(device.path);
  const free = bavail * bsize;
  const room = device.name === 'tmpfs' ? Math.min(free, availableMemory()) : free;
  if (room >= bytes + SPARE_BYTES) return;
  throw new Error(
    `${device.path} has room for ${formatBytes(room)}, and ${formatBytes(bytes + SPARE_BYTES)} are needed: try a smaller --size, or another device.`,
  );
}

/** What the kernel can give without swapping. proc_meminfo(5) */
function availableMemory(): number {
  const [, kibibytes] = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8')) ?? [];
  return Number(kibibytes ?? Number.POSITIVE_INFINITY) * 1024;
}
