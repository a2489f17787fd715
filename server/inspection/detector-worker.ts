/** Runs in a worker thread: reads the first bytes of untrusted content with parsers that may hang or crash. */
import { FileTypeParser, type FileTypeResult } from 'file-type';
import { WASMagic } from 'wasmagic';
import { answerRequests } from '../runtime/worker.ts';
import type { Detection, DetectorAnswer, DetectorRequest } from './detector.ts';

/** Formats that file-type recognizes by two or three bytes, which other data may start with, and containers that it does not open. */
const SECOND_OPINION: ReadonlySet<string> = new Set('cfb xml bmp exe swf mp1 mp2 ac3 dmg Z cpio arj ps stl ico cur'.split(' '));

/** One parser for all requests: the detector sends one content at a time. */
const parser = new FileTypeParser();

/** Loaded only when it is needed: most content is recognized without it, and it takes about 40 MiB. */
let magic: Promise<WASMagic> | undefined;

async function detect(head: Uint8Array): Promise<Detection> {
  const fileType = await detectByFileType(head);
  const known: Detection = fileType === undefined ? {} : { ext: fileType.ext, mime: fileType.mime };
  if (fileType !== undefined && !SECOND_OPINION.has(fileType.ext)) return known;
  magic ??= WASMagic.create();
  return { ...known, magic: (await magic).detect(head) };
}

/** file-type throws for some malformed content, which then counts as unknown. */
async function detectByFileType(head: Uint8Array): Promise<FileTypeResult | undefined> {
  try {
    return await parser.fromBuffer(head);
  } catch {
    return undefined;
  }
}

// A rejection ends the thread on purpose: after an abort, the memory of the WASM module cannot be trusted.
answerRequests<DetectorRequest, DetectorAnswer>((request) => (request === 'ready?' ? 'ready' : detect(request)));
