// Statements that the database executed and refused, and not ones that it could not execute because it was away, full or busy.

/** SQLSTATE classes of invalid data, constraints, deadlocks and the triggers' limits: the database rolled the whole statement back. */
const ROLLED_BACK = /^(22|23|40|P0)/;
/** The same without deadlocks, which another try avoids. */
const UNWRITABLE = /^(22|23|P0)/;
/** SQLite's primary codes for values that are too large, constraints (also a trigger's refusal), and values of the wrong type. */
const SQLITE_UNWRITABLE: readonly unknown[] = [18, 19, 20];

/** True when the database undid the whole statement and nothing else. */
export function isRolledBack(error: unknown): boolean {
  return ROLLED_BACK.test(codeOf(error));
}

/** True when the database refused what the statement would write: the same statement never succeeds. */
export function isUnwritable(error: unknown): boolean {
  const code = codeOf(error);
  if (code !== 'ERR_SQLITE_ERROR') return UNWRITABLE.test(code);
  const { errcode } = error as { errcode?: unknown };
  return typeof errcode === 'number' && SQLITE_UNWRITABLE.includes(errcode & 0xff);
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
