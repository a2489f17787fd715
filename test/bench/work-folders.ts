// Folders that measured servers fill with gigabytes, maybe in memory. The name of a folder names its owner, so that a later
// benchmark recognises the folders of a killed one.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { formatBytes } from '../../shared/units.ts';
import { cancelCleanup, registerCleanup } from './last-will.ts';
import { startTime } from './processor-time.ts';
import type { Device } from './scenario.ts';

const PREFIX = 'landfall-bench-';
const NAME = new RegExp(`^${PREFIX}(\\d+)-(\\d+)-`);
/** Reserved for the system, and for the memory of the servers besides their stored files. */
const SPARE_BYTES = 1024 ** 3;

const folders = new Set<string>();
process.on('exit', () => {
  for (const path of folders) rmSync(path, { recursive: true, force: true });
});

export function newFolder(device: Device): string {
  const path = mkdtempSync(join(device.path, `${PREFIX}${process.pid}-${startTime(process.pid)}-`));
  folders.add(path);
  registerCleanup({ folder: path });
  return path;
}

export function removeFolder(path: string): void {
  rmSync(path, { recursive: true, force: true });
  folders.delete(path);
  cancelCleanup({ folder: path });
}

/** Removes the folders of killed benchmarks from a device. The start time shows whether a process id was reused meanwhile. */
export function removeLeftovers(device: Device): void {
  for (const name of readdirSync(device.path)) {
    const [, pid, started] = NAME.exec(name) ?? [];
    if (pid === undefined || startTime(Number(pid)) === started) continue;
    rmSync(join(device.path, name), { recursive: true, force: true });
  }
}

/** @throws Error, with a sentence, when the bytes do not fit on the device, or into memory if the device is in memory */
export function requireRoom(device: Device, bytes: number): void {
  const { bavail, bsize } = statfsSync(device.path);
  const free = bavail * bsize;
  const capacity = device.name === 'tmpfs' ? Math.min(free, availableMemory()) : free;
  if (capacity >= bytes + SPARE_BYTES) return;
  throw new Error(
    `${device.path} has room for ${formatBytes(capacity)}, and ${formatBytes(bytes + SPARE_BYTES)} are needed: try a smaller --size, or another device.`,
  );
}

/** The memory that the kernel can give without swapping. proc_meminfo(5) */
function availableMemory(): number {
  const [, kibibytes] = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8')) ?? [];
  return Number(kibibytes ?? Number.POSITIVE_INFINITY) * 1024;
}
