/** Decides by the first bytes, and a few marks further inside. The signature check and the early check share it, so that they agree. */

import type { Rejection } from '../../../shared/errors.ts';
import { extensionOf } from '../../../shared/filename.ts';
import { canonicalType, HEAD_BYTES, isTextType, UNKNOWN_TYPE } from '../../../shared/formats.ts';
import { checkName, describeAllowed, type Policy, typeOfExtension } from '../../../shared/policy.ts';
import type { Detection, Detector } from '../detector.ts';
import { describeContent, describeType } from './describe.ts';
import { isRunning, proves } from './evidence.ts';
import { id3TagBytes } from './id3-tag.ts';
import { refine } from './refine.ts';
import { type Bytes, beginsAs, showsInside } from './signatures.ts';
import { TextValidator } from './text-validator.ts';

/** `read` is missing while bytes are being received: then nothing is decided that later bytes could change. */
export interface HeadSubject extends Bytes {
  readonly safeName: string | null;
  readonly policy: Policy;
}

/**
 * The media type to continue with, or a final rejection. `found`: the detection behind the type, if bytes were read; a `zip` or `cfb` in
 * it may turn out to be another type when its directory is read.
 */
export type HeadJudgement = { type: string; found?: Detection } | { rejection: Rejection };

export async function judgeHead(detector: Detector, subject: HeadSubject): Promise<HeadJudgement> {
  const { policy, safeName } = subject;
  const head = subject.head.subarray(0, HEAD_BYTES);
  const extension = safeName === null ? '' : extensionOf(safeName);
  const expected = typeOfExtension(policy, extension);
  if (extension !== '' && expected === undefined) {
    return { rejection: checkName(policy, safeName) ?? { code: 'ERR_TYPE_NOT_ALLOWED' } };
  }
  // The text check reads all of the content; no signature proves more.
  if (expected !== undefined && (head.length === 0 || isTextType(expected))) return { type: expected };
  if (head.length === 0) return { type: UNKNOWN_TYPE };

  if (expected !== undefined && beginsAs(expected, head)) return { type: expected, found: { mime: expected } };
  const bytes = await behindTags({ ...subject, head }, expected);
  if (bytes === undefined) return { type: expected ?? UNKNOWN_TYPE };
  if (expected !== undefined && beginsAs(expected, bytes.head)) return { type: expected, found: { mime: expected } };
  const detection = refine(bytes.head, await detector.detect(bytes.head));
  // A player searches for the first frame after a tag, whatever comes between.
  const found = bytes.head !== head && detection.ext === undefined ? { ...detection, ext: 'id3' } : detection;
  if (expected === undefined) return judgeByContent(policy, bytes.head, found, safeName);
  if (expected === UNKNOWN_TYPE) return isRunning(found) ? { rejection: activeContent(safeName, found) } : { type: expected, found };
  if (proves(found, expected)) return { type: expected, found };
  if (!isRunning(found) && (await showsInside(expected, bytes)) !== false) return { type: expected, found: { mime: expected } };
  if (isMacroTwin(found, expected)) {
    const detail = `“${safeName}” holds ${describeContent(found)}. Save it without macros, or give it its own extension.`;
    return { rejection: { code: 'ERR_MACRO', detail } };
  }
  const content = describeContent(found);
  const holds = content === undefined ? ', but its content is something else' : ` but holds ${content}`;
  return { rejection: { code: 'ERR_TYPE_MISMATCH', detail: `“${safeName}” is named like ${describeType(expected, extension)}${holds}.` } };
}

/** Several tags in sequence are real; more than this are crafted. */
const MAX_TAGS = 8;

/** The content after the tags before sound; undefined while it is still being received. */
async function behindTags(bytes: Bytes, expected: string | undefined): Promise<Bytes | undefined> {
  if (expected !== undefined && !expected.startsWith('audio/')) return bytes;
  const { length, read } = bytes;
  let { head } = bytes;
  let start = 0;
  for (let tags = 0; tags < MAX_TAGS; tags++) {
    const tagBytes = id3TagBytes(head);
    if (tagBytes === 0) break;
    if (read === undefined) return undefined;
    start += tagBytes;
    head = await read(start, start + HEAD_BYTES);
  }
  if (start === 0 || read === undefined) return bytes;
  return { head, length: length === null ? null : length - start, read: (from, to) => read(start + from, start + to) };
}

function isMacroTwin(found: Detection, expected: string): boolean {
  return (
    found.ext !== undefined && /^(?:doc|dot|xls|xlt|ppt|pot|pps)m$/.test(found.ext) && expected.includes('openxmlformats-officedocument')
  );
}

/** Without a name or an extension, the content must be of a type that an allowed extension stands for. */
function judgeByContent(policy: Policy, head: Uint8Array, found: Detection, safeName: string | null): HeadJudgement {
  const allowed = new Set(Object.values(policy.types));
  const types = [...allowed].filter((type) => type !== UNKNOWN_TYPE);
  const named = [found.mime, found.ext === undefined ? found.magic : undefined]
    .filter((type) => type !== undefined)
    .map(canonicalType)
    .find((type) => types.includes(type));
  // The one or two words that a format begins with may begin a text, too.
  const isText = found.magic?.startsWith('text/') === true;
  const proved = named ?? types.find((type) => proves(found, type)) ?? (isText ? undefined : types.find((type) => beginsAs(type, head)));
  if (proved !== undefined) return { type: proved, found };
  if (isRunning(found)) return { rejection: activeContent(safeName, found) };
  if (allowed.has('text/plain') && found.ext === undefined && new TextValidator(policy).push(head) === undefined) {
    return { type: 'text/plain', found };
  }
  if (allowed.has(UNKNOWN_TYPE)) return { type: UNKNOWN_TYPE, found };
  const content = describeContent(found);
  const detail = `${content === undefined ? 'The server does not recognise its type' : `It holds ${content}`}. Accepted: ${describeAllowed(policy)}.`;
  return { rejection: { code: 'ERR_TYPE_NOT_ALLOWED', detail } };
}

function activeContent(safeName: string | null, found: Detection): Rejection {
  const name = safeName === null ? 'It' : `“${safeName}”`;
  return { code: 'ERR_ACTIVE_CONTENT', detail: `${name} holds ${describeContent(found) ?? 'a program'}.` };
}
