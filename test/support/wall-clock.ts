import { chmodSync, existsSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { faketimePath } from './needs.ts';

/** The wall clock of programs that run with it: a test can set it while they run. Monotonic clocks stay unchanged. */
export class WallClock {
  readonly #folder = mkdtempSync(join(tmpdir(), 'landfall-test-clock-'));

  constructor() {
    // A database server runs as another user.
    chmodSync(this.#folder, 0o755);
    this.set('+0');
  }

  /** Variables for a program's environment. */
  get env(): Record<string, string> {
    const library = faketimePath();
    if (library === undefined) throw new Error('There is no libfaketime: install the package libfaketime.');
    return {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: this.#path,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
    };
  }

  /** The offset from the true time: `+7d`, `-5h`. */
  set(offset: string): void {
    // Replaced by rename, so that a program never reads half a line.
    writeFileSync(`${this.#path}.new`, `${offset}\n`, { mode: 0o644 });
    renameSync(`${this.#path}.new`, this.#path);
  }

  destroy(): void {
    rmSync(this.#folder, { recursive: true, force: true });
    // Programs that were killed leave the library's shared memory behind.
    for (const name of readdirSync('/dev/shm')) {
      const [, pid] = /^(?:faketime_shm|sem\.faketime_sem)_(\d+)$/.exec(name) ?? [];
      if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join('/dev/shm', name), { force: true });
    }
  }

  get #path(): string {
    return join(this.#folder, 'clock');
  }
}
