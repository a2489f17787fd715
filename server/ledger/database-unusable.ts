// In its own file because the check that throws it imports `pg`, which a server with SQLite does not have.
import { StartError } from '../runtime/start-error.ts';

/**
 * PostgreSQL cannot hold the ledger: it is unreachable, too old, read-only, or refuses the role. `isMistake` is false when it is
 * unreachable.
 */
export class DatabaseUnusable extends StartError {
  override readonly name = 'DatabaseUnusable';
  override readonly code = 'ERR_DATABASE_UNUSABLE';
  override readonly isMistake: boolean;

  constructor(message: string, { isMistake = true, cause }: { isMistake?: boolean; cause?: unknown } = {}) {
    super(message, { cause });
    this.isMistake = isMistake;
  }
}
