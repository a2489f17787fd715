// A process that outlives the benchmark, however that ends, by as long as it takes to end its servers and to remove its
// folders: nobody else is left to do it after a SIGKILL. It hears of them on its standard input, whose end it waits for.
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readlinkSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** What would be left behind: a process group, or a folder. */
export type Estate = { group: number } | { folder: string };

interface Line {
  estate: Estate;
  isSettled: boolean;
}

let executor: ChildProcess | undefined;

export function inherit(estate: Estate): void {
  write({ estate, isSettled: false });
}

/** It has been taken care of. */
export function settle(estate: Estate): void {
  write({ estate, isSettled: true });
}

function write(line: Line): void {
  executor ??= appoint();
  executor.stdin?.write(`${JSON.stringify(line)}\n`);
}

function appoint(): ChildProcess {
  // In a group of its own: a signal for the benchmark's is not for it.
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url)], { detached: true, stdio: ['pipe', 'ignore', 'inherit'] });
  child.stdin?.on('error', () => undefined);
  child.unref();
  return child;
}

async function execute(): Promise<void> {
  const left = new Map<string, Estate>();
  for await (const text of createInterface({ input: process.stdin })) {
    const { estate, isSettled } = JSON.parse(text) as Line;
    if (isSettled) left.delete(JSON.stringify(estate));
    else left.set(JSON.stringify(estate), estate);
  }
  for (const estate of left.values()) if ('group' in estate) kill(estate.group);
  for (const estate of left.values()) if ('folder' in estate) clear(estate.folder);
}

function clear(folder: string): void {
  // A server whose group was not told any more: the end came just after its start.
  for (const pid of processesIn(folder)) kill(pid);
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** Those that were started in a folder, where the system tells. */
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
    // It has ended by itself.
  }
}

if (import.meta.main) await execute();
