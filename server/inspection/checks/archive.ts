import type { Rejection } from '../../../shared/errors.ts';
import { isTextType, UNKNOWN_TYPE } from '../../../shared/formats.ts';
import type { Check, Inspectable } from '../check.ts';
import { describeType } from './describe.ts';
import { type Contents, readContents, startsLikeCompoundFile } from './office-file.ts';
import { isEncrypted7z, isEncryptedRar } from './packed-encryption.ts';
import { BrokenContainer, zipEntries } from './zip-directory.ts';

/** Who encrypts, encrypts all. More would only take time. */
const MAX_ENTRIES = 100_000;
/** Their names say that there are macros. */
const MACRO_TYPE = /macroenabled/;
const HAS_MACRO_RULES = /openxmlformats|opendocument|msword|ms-excel|ms-powerpoint/;
/** Books hold scripts, packages programs, by their nature. */
const PROGRAMS_EXPECTED = /^application\/(?:epub\+zip|java-archive|vnd\.android\.package-archive)$/;

/**
 * Containers, by their directory: whether it is there, whether it is that of the type the name says, passwords, macros
 * and programs in documents. What an archive (.zip, .7z, .rar) holds is not judged, and nothing is unpacked.
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
        return { code: 'ERR_UNINSPECTABLE', detail: `${nameOf(upload)} is damaged or incomplete.` };
      }
    },
  };
}

async function judge(upload: Inspectable, type: string): Promise<Rejection | undefined> {
  if (type === 'application/vnd.rar') return refuseEncrypted(upload, await isEncryptedRar(upload));
  if (type === 'application/x-7z-compressed') return refuseEncrypted(upload, await isEncrypted7z(upload));
  if (type === 'application/zip') return refuseEncrypted(upload, await hasEncryptedEntry(upload));
  if (type === UNKNOWN_TYPE) return refuseInstaller(upload);
  const contents = await readContents(upload);
  return contents === undefined ? undefined : judgeContents(upload, type, contents);
}

/** The one program that only a directory tells from a document. */
async function refuseInstaller(upload: Inspectable): Promise<Rejection | undefined> {
  if (!startsLikeCompoundFile(upload.head)) return undefined;
  const contents = await readContents(upload);
  if (contents?.types.has('application/x-msi') !== true) return undefined;
  return { code: 'ERR_ACTIVE_CONTENT', detail: `${nameOf(upload)} holds a Windows installer.` };
}

async function hasEncryptedEntry(upload: Inspectable): Promise<boolean> {
  let count = 0;
  for await (const entry of zipEntries(upload)) {
    if (entry.isEncrypted) return true;
    if (++count >= MAX_ENTRIES) break;
  }
  return false;
}

function judgeContents(upload: Inspectable, type: string, contents: Contents): Rejection | undefined {
  if (!contents.types.has(type)) {
    const detail = `${nameOf(upload)} is named like ${describeType(type, upload.found.extension ?? '')}, but holds something else.`;
    return { code: 'ERR_TYPE_MISMATCH', detail };
  }
  const refusal = refuseEncrypted(upload, contents.isEncrypted);
  if (refusal !== undefined) return refusal;
  if (contents.hasMacros && HAS_MACRO_RULES.test(type) && !MACRO_TYPE.test(type)) {
    const isOld = !type.startsWith('application/vnd.openxmlformats');
    if (!isOld || !upload.policy.allowMacros) return { code: 'ERR_MACRO', detail: `${nameOf(upload)} holds macros. Save it without them.` };
  }
  if (contents.program !== undefined && !PROGRAMS_EXPECTED.test(type)) {
    return { code: 'ERR_ACTIVE_CONTENT', detail: `${nameOf(upload)} holds a program (“${contents.program}”).` };
  }
  return undefined;
}

function refuseEncrypted(upload: Inspectable, isEncrypted: boolean): Rejection | undefined {
  if (!isEncrypted || upload.policy.allowEncrypted) return undefined;
  return { code: 'ERR_ENCRYPTED', detail: `${nameOf(upload)} needs a password. Send it without one.` };
}

function nameOf(upload: Inspectable): string {
  return upload.safeName === null ? 'The file' : `“${upload.safeName}”`;
}
