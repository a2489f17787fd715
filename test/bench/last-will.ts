// A cleaner process that outlives the benchmark, however it ends, to end its servers and remove its folders: after a SIGKILL
// nothing else could. It reads their names from its standard input, and cleans up when that ends.
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readlinkSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A process group or a folder that a killed benchmark would leave behind. */
export type Leftover = { group: number } | { folder: string };

interface Line {
  leftover: Leftover;
  isRemoved: boolean;
}

let cleaner: ChildProcess | undefined;

/** Makes the cleaner process remove this when the benchmark ends. */
export function registerCleanup(leftover: Leftover): void {
  write({ leftover, isRemoved: false });
}

/** Call when the benchmark has removed it itself. */
export function cancelCleanup(leftover: Leftover): void {
  write({ leftover, isRemoved: true });
}

function write(line: Line): void {
  cleaner ??= startCleaner();
  cleaner.stdin?.write(`${JSON.stringify(line)}\n`);
}

function startCleaner(): ChildProcess {
  // The cleaner has its own process group, so that signals for the benchmark's group do not end it.
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url)], { detached: true, stdio: ['pipe', 'ignore', 'inherit'] });
  child.stdin?.on('error', () => undefined);
  child.unref();
  return child;
}

async function cleanUp(): Promise<void> {
  const left = new Map<string, Leftover>();
  for await (const text of createInterface({ input: process.stdin })) {
    const { leftover, isRemoved } = JSON.parse(text) as Line;
    if (isRemoved) left.delete(JSON.stringify(leftover));
    else left.set(JSON.stringify(leftover), leftover);
  }
  for (const leftover of left.values()) if ('group' in leftover) kill(leftover.group);
  for (const leftover of left.values()) if ('folder' in leftover) clear(leftover.folder);
}

function clear(folder: string): void {
  // The benchmark may have been killed just after it started a server, before it registered the server's group.
  for (const pid of processesIn(folder)) kill(pid);
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** The processes started in a folder; none on systems other than Linux. */
export function processesIn(folder: string): number[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => {
      try {
        return pid > 0 && readlinkSync(`/proc/${pid}/cwd`).startsWith(folder);
      } catch {
        return false;
      }
    });
}

function kill(group: number): void {
  try {
    process.kill(-group, 'SIGKILL');
  } catch {
    // The process group has already ended.
  }
}

if (import.meta.main) await cleanUp();
