/** Reads what the first records of an Excel workbook show ([MS-XLS]): a password, and sheets of macros. */
import { setImmediate } from 'node:timers/promises';
import { type ByteRanges, readAt } from './byte-ranges.ts';

const FILE_PASS = 0x002f;
const BOUND_SHEET = 0x0085;
const END_OF_FILE = 0x000a;
/** The globals of a workbook with a million different texts have about ten thousand. */
const MAX_RECORDS = 1_000_000;
const RECORDS_BETWEEN_YIELDS = 1000;

export interface WorkbookGlobals {
  isEncrypted: boolean;
  /** Sheets with Excel 4.0 macros, or modules of Excel 5 and 95. */
  hasMacroSheets: boolean;
}

/** Reads to the end of the globals, which list all sheets. */
export async function readWorkbookGlobals(workbook: ByteRanges): Promise<WorkbookGlobals> {
  const globals: WorkbookGlobals = { isEncrypted: false, hasMacroSheets: false };
  let at = 0;
  for (let count = 1; count <= MAX_RECORDS && at + 4 <= workbook.length; count++) {
    const record = await readAt(workbook, at, at + 10);
    if (record.length < 4) break;
    const type = record.readUInt16LE(0);
    if (type === END_OF_FILE) break;
    if (type === FILE_PASS) globals.isEncrypted = true;
    // BoundSheet8 (2.4.28): position, state, kind: 0 a sheet, 1 macros, 2 a chart, 6 a module. In an encrypted workbook the kind is noise.
    const kind = record[9];
    if (type === BOUND_SHEET && !globals.isEncrypted && (kind === 1 || kind === 6)) globals.hasMacroSheets = true;
    at += 4 + record.readUInt16LE(2);
    if (count % RECORDS_BETWEEN_YIELDS === 0) await setImmediate();
  }
  return globals;
}
