import type { ErrorCode, Rejection } from '../../../shared/errors.ts';
import { isTextType, UNKNOWN_TYPE } from '../../../shared/formats.ts';
import type { Check, Inspectable } from '../check.ts';
import { AmbiguousContainer, BrokenContainer } from './byte-ranges.ts';
import type { Findings } from './contents.ts';
import { describeType } from './describe.ts';
import { readContents, startsLikeCompoundFile } from './document.ts';
import { TooMuchInside } from './inflate.ts';
import { isEncrypted7z, isEncryptedRar } from './packed-encryption.ts';
import { searchRichText } from './rich-text.ts';
import { unsafeInTar } from './tar-rules.ts';
import { inspectZip } from './zip-rules.ts';

/** Types whose names say that they have macros. */
const MACRO_TYPE = /(?<!binary\.)macroenabled/;
const HAS_MACRO_RULES = /openxmlformats|opendocument|msword|ms-excel|ms-powerpoint|rtf/;
/** Archives of any files, without a part that tells their purpose. */
const ZIP_ARCHIVES = new Set(['application/zip', 'model/3mf', 'model/vnd.usdz+zip', 'application/x-npz']);
/** Books contain scripts, and packages contain programs, by their nature. */
const PROGRAMS_EXPECTED = /^application\/(?:epub\+zip|java-archive|vnd\.android\.package-archive|x-msi)$/;

/**
 * Checks containers by their directory: whether it is there, whether it is of the type that the name says, passwords, macros and
 * programs in documents, and archives that would do harm when they are unpacked. The files in an archive are not judged.
 */
export function createArchiveCheck(): Check {
  return {
    name: 'archive',
    async run(upload) {
      const { type } = upload.found;
      if (type === null || isTextType(type)) return undefined;
      try {
        return await judge(upload, type);
      } catch (error) {
        if (!(error instanceof BrokenContainer)) throw error;
        if (type === UNKNOWN_TYPE) return undefined;
        return refuse(upload, 'ERR_UNINSPECTABLE', reasonOf(error));
      }
    },
  };
}

function reasonOf(error: BrokenContainer): string {
  if (error instanceof TooMuchInside) return 'holds more than can be inspected';
  return error instanceof AmbiguousContainer ? 'can be read in more than one way' : 'is damaged or incomplete';
}

async function judge(upload: Inspectable, type: string): Promise<Rejection | undefined> {
  if (type === 'application/vnd.rar') return refuseEncrypted(upload, await isEncryptedRar(upload));
  if (type === 'application/x-7z-compressed') return refuseEncrypted(upload, await isEncrypted7z(upload));
  if (ZIP_ARCHIVES.has(type)) return judgeZip(upload);
  if (type === 'application/x-tar') return refuseUnsafe(upload, await unsafeInTar(upload, upload.policy));
  if (type === 'application/rtf') return judgeFindings(upload, type, await searchRichText(upload));
  if (type === UNKNOWN_TYPE) return refuseInstaller(upload);
  return judgeDocument(upload, type);
}

async function judgeZip(upload: Inspectable): Promise<Rejection | undefined> {
  const { isEncrypted, unsafe } = await inspectZip(upload, upload.policy);
  return refuseUnsafe(upload, unsafe) ?? refuseEncrypted(upload, isEncrypted);
}

/** An installer is the only program that a directory alone tells from a document. */
async function refuseInstaller(upload: Inspectable): Promise<Rejection | undefined> {
  if (!startsLikeCompoundFile(upload.head)) return undefined;
  const contents = await readContents(upload);
  if (contents?.types.has('application/x-msi') !== true) return undefined;
  return refuse(upload, 'ERR_ACTIVE_CONTENT', 'holds a Windows installer');
}

async function judgeDocument(upload: Inspectable, type: string): Promise<Rejection | undefined> {
  const contents = await readContents(upload);
  if (contents === undefined) return undefined;
  if (!contents.types.has(type)) {
    const name = describeType(type, upload.found.extension ?? '');
    return refuse(upload, 'ERR_TYPE_MISMATCH', `is named like ${name}, but holds something else`);
  }
  return judgeFindings(upload, type, await contents.search({ inside: !PROGRAMS_EXPECTED.test(type) }));
}

function judgeFindings(upload: Inspectable, type: string, { isEncrypted, hasMacros, program }: Findings): Rejection | undefined {
  const refusal = refuseEncrypted(upload, isEncrypted);
  if (refusal !== undefined) return refusal;
  if (hasMacros && HAS_MACRO_RULES.test(type) && !MACRO_TYPE.test(type)) {
    const isTold = type.startsWith('application/vnd.openxmlformats');
    if (isTold || !upload.policy.allowMacros) return refuse(upload, 'ERR_MACRO', 'holds macros. Save it without them');
  }
  return program === undefined ? undefined : refuse(upload, 'ERR_ACTIVE_CONTENT', `holds a program (“${program}”)`);
}

function refuseEncrypted(upload: Inspectable, isEncrypted: boolean): Rejection | undefined {
  if (!isEncrypted || upload.policy.allowEncrypted) return undefined;
  return refuse(upload, 'ERR_ENCRYPTED', 'needs a password. Send it without one');
}

function refuseUnsafe(upload: Inspectable, unsafe: string | undefined): Rejection | undefined {
  return unsafe === undefined ? undefined : refuse(upload, 'ERR_ARCHIVE_UNSAFE', unsafe);
}

function refuse(upload: Inspectable, code: ErrorCode, because: string): Rejection {
  const name = upload.safeName === null ? 'The file' : `“${upload.safeName}”`;
  return { code, detail: `${name} ${because}.` };
}
