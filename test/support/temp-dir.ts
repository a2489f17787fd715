import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, onTestFinished } from 'vitest';

const PREFIX = join(tmpdir(), 'landfall-test-');

/** A new directory that is removed when the calling file or `describe` block ends. Inside a test, use `testDirectory`. */
export function temporaryDirectory(): { path: string } {
  const path = mkdtempSync(PREFIX);
  afterAll(() => remove(path));
  return { path };
}

/** A new directory that is removed when the running test ends, after everything that the test registers later. */
export function testDirectory(): string {
  const path = mkdtempSync(PREFIX);
  onTestFinished(() => remove(path));
  return path;
}

function remove(path: string): Promise<void> {
  return rm(path, { recursive: true, force: true, maxRetries: 3 });
}
